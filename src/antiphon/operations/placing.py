"""Where instances have room: each with all its replicas on the machines of one server, beside all others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection

from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.choices import choices
from antiphon.catalogue.instances import Instance, instances
from antiphon.catalogue.store import ModelStore
from antiphon.errors import CapacityTaken, ConfigurationError
from antiphon.pools import calendar, machines
from antiphon.pools.calendar import Conflict, Reservation, Room
from antiphon.pools.machines import Machine
from antiphon.settings import Settings
from antiphon.values import NOTHING, Capacity


class Ground(msgspec.Struct, frozen=True):
    """What there is at a moment, and what of it is taken. Its methods take time, and may run in a thread."""

    machines: Sequence[Machine]
    sold: Sequence[Instance]
    shared: Sequence[Capacity]
    """What each engine takes that everybody is served by, on every server."""

    @property
    def servers(self) -> Sequence[str]:
        """Those of which was heard lately, by name."""
        return sorted({one.server for one in self.machines})

    def server_for(self, wanted: Instance, now: int) -> str:
        """The server that has room for an instance beside the others: its own, or the first if it has none.

        Raises `CapacityTaken`.
        """
        candidates = [one for one in self.servers if wanted.server in ("", one)]
        if not candidates:
            whose = " of its server" if wanted.server else ""
            raise CapacityTaken(f"No machine{whose} is known that could run it: start the server first.")
        begun = msgspec.structs.replace(wanted, begins_at=max(now, wanted.begins_at))
        kept = self._kept(one for one in self.sold if one.id != wanted.id)
        conflicts: list[Conflict] = []
        for server in candidates:
            own = self._reserved(msgspec.structs.replace(begun, server=server))
            conflict = calendar.refused(self._totals(), kept, own)
            if conflict is None:
                return server
            conflicts.append(conflict)
        found = max(conflicts, key=lambda one: one.at)
        raise CapacityTaken(
            f"There is no room for this instance: from {found.at} on it lacks {_shown(found.lacks)}. "
            "The calendar of dedicated instances shows what is free."
        )

    @property
    def lost(self) -> Sequence[Instance]:
        """Those whose server was not heard of lately."""
        return [one for one in self.sold if one.server not in self.servers]

    def adopted(self, server: str, now: int) -> list[str]:
        """Which of those that are lost a server has room for, by their ids, the oldest first."""
        ground, found = self, []
        for one in self.lost:
            moved = msgspec.structs.replace(one, server=server)
            try:
                ground.server_for(moved, now)
            except CapacityTaken:
                continue
            others = (moved if other.id == one.id else other for other in ground.sold)
            ground = msgspec.structs.replace(ground, sold=list(others))
            found.append(one.id)
        return found

    def room(self, needs: Capacity, begin: int, end: int | None) -> list[Room]:
        """For how many more replicas of one instance there is room, and when."""
        groups = [self._of(server) for server in self.servers]
        return calendar.room(self._totals(), self._kept(self.sold), needs, begin, end, groups)

    def _totals(self) -> list[Capacity]:
        """What each machine has, by name: what two servers use counts once."""
        return [has for _, has in sorted({one.name: one.has for one in self.machines}.items())]

    def _of(self, server: str) -> frozenset[int]:
        names = sorted({one.name for one in self.machines})
        return frozenset(names.index(one.name) for one in self.machines if one.server == server)

    def _kept(self, sold: Iterable[Instance]) -> list[Reservation]:
        shared = [
            Reservation(id=f"{server}/{number}", begin=0, needs=needs, within=self._of(server))
            for server in self.servers
            for number, needs in enumerate(self.shared)
        ]
        return shared + [one for instance in sold for one in self._reserved(instance)]

    def _reserved(self, instance: Instance) -> list[Reservation]:
        """One reservation for each replica. Where a server was not heard of lately they are nowhere."""
        within, (begin, end) = self._of(instance.server), (instance.begins_at, instance.ends_at)
        return [
            Reservation(
                id=f"{instance.id}/{number}", begin=begin, end=end, needs=instance.needs, within=within
            )
            for number in range(instance.replicas)
        ]


def ground(connection: Connection, shared: Sequence[Capacity], now: int) -> Ground:
    """What there is from `now` on."""
    return Ground(machines.known(connection, now), instances(connection, after=now), shared)


def shared(catalogue: Catalogue, settings: Settings) -> list[Capacity]:
    """What the engines take that everybody may be served by, as the catalogue says: as many as may run at
    once, those on demand among them. Reads the disk."""
    return [
        entry.needs.capacity
        for entry in catalogue.entries.values()
        if entry.id in catalogue.served and entry.site is None and entry.needs.capacity != NOTHING
        for _ in range(entry.scale.most * _engines(catalogue, entry.id, settings))
    ]


def _engines(catalogue: Catalogue, snapshot: str, settings: Settings) -> int:
    """How many engines serve it, each for what those before it cannot do."""
    try:
        return len(choices(catalogue.entries[snapshot], ModelStore(settings.home_path), settings))
    except ConfigurationError:  # none, as this machine has it: another may
        return 1


def _shown(lacks: Capacity) -> str:
    parts = (
        (lacks.cpus, f"{lacks.cpus / 1000:g} processors"),
        (lacks.memory, f"{-(-lacks.memory // 2**20)} MiB of memory"),
        (lacks.gpus, f"{lacks.gpus} accelerators"),
    )
    return ", ".join(text for amount, text in parts if amount)
