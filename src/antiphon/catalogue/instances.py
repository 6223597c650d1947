"""Dedicated instances as they run: which snapshot, for whom, how large, from when until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from antiphon.values import Capacity

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `dedicated_instance`. Moments are unix seconds."""

    id: str
    organization_id: str
    name: str
    """What its organization calls it."""
    snapshot: str
    engine: str
    context: int
    """Tokens; 0 for speech."""
    load: int
    """Requests that each replica serves together."""
    replicas: int
    spill_over: bool
    cpus: int
    """Of each replica, as in `Capacity`."""
    memory: int
    gpus: int
    begins_at: int
    ends_at: int | None
    created_at: int
    server: str
    """Which runs its engines, as `Settings.server` has it."""
    ordered: bytes = b""
    """Digest of its order, if that may come twice."""

    @property
    def needs(self) -> Capacity:
        """What is reserved for each replica."""
        return Capacity(cpus=self.cpus, memory=self.memory, gpus=self.gpus)

    def runs(self, now: float) -> bool:
        """Whether it is its time."""
        return self.begins_at <= now and (self.ends_at is None or now < self.ends_at)

    def over(self, now: float) -> bool:
        """Whether its time is over; also of one that was called off before it began."""
        return self.ends_at is not None and self.ends_at <= max(now, self.begins_at)


def instances(
    connection: Connection, *, organization_id: str | None = None, after: int | None = None
) -> list[Instance]:
    """Every instance, the oldest first; of one organization, or of those that end after a moment."""
    # Imported here, since the command line knows catalogues without a database.
    from sqlalchemy import select

    from antiphon.storage.tables import dedicated_instance

    columns = dedicated_instance.c
    query = select(dedicated_instance).order_by(columns.created_at, columns.id)
    if organization_id is not None:
        query = query.where(columns.organization_id == organization_id)
    if after is not None:
        # Nor of those that were called off before they began: they never do.
        longer = (columns.ends_at > after) & (columns.ends_at > columns.begins_at)
        query = query.where(columns.ends_at.is_(None) | longer)
    return [Instance(**row._mapping) for row in connection.execute(query)]
