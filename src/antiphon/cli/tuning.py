"""An instance measured at one load after another, and then given one of them, or its own back."""

from __future__ import annotations

import fcntl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from antiphon.access.api_key import NewKey, Realm
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.instances import Instance, instances
from antiphon.cli.administration import House
from antiphon.cli.client import Client
from antiphon.cli.measuring import USUAL, Asker, until_sized
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.sweep import Sweep
from antiphon.errors import InvalidRequest
from antiphon.ledger import measurements, workload
from antiphon.ledger.levels import Level, Objective, recommended
from antiphon.ledger.measurements import Measurement
from antiphon.ledger.rollups import DAY
from antiphon.ledger.workload import MEASURING, Shape
from antiphon.operations.orders import Change
from antiphon.storage import audit
from antiphon.storage.ids import derived_id, ordered_id

READY_SECONDS = 600.0
"""Longest wait for engines of another load."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured. `objective` is None if no load is to be recommended."""

    id: str
    project: str
    loads: tuple[int, ...]
    """The usual ones, if there are none."""
    requests: int
    days: int
    seconds: float
    objective: Objective | None
    apply: bool


class Tuned(msgspec.Struct, kw_only=True):
    """What is known so far; it stays true if the rest is broken off."""

    instance: Instance | None = None
    mix: Sequence[Shape] = USUAL
    own: bool = False
    """Whether the lengths are those of the organization's own requests."""
    levels: Sequence[Level] = ()
    best: Level | None = None
    load: int = 0
    """What the instance has in the end."""


class Shown(msgspec.Struct, frozen=True):
    """Who is told how far it is: what happens now; how many requests are over, of how many."""

    say: Callable[[str], None]
    count: Callable[[int, int], None]


async def run(
    house: House, connect: Callable[[str], Client], wanted: Wanted, found: Tuned, shown: Shown
) -> None:
    """Measure, and recommend and apply if so wanted. `connect` makes a client of the server with a key.

    However it ends, the instance is left with the load that it had, or with the one that was recommended; but
    what somebody else changed meanwhile stays. Raises `CommandFailed` or an `AntiphonError`.
    """
    with _alone(house.home, wanted.id):
        await _run(house, connect, wanted, found, shown)


async def _run(
    house: House, connect: Callable[[str], Client], wanted: Wanted, found: Tuned, shown: Shown
) -> None:
    instance, entry = await _tunable(house, wanted.id)
    found.instance, found.load = instance, instance.load
    loads = wanted.loads or _usual(entry, instance)
    found.mix, found.own = await _mix(house, instance, wanted)
    life = int(READY_SECONDS + 2 * (len(loads) + 1) * wanted.seconds)
    async with _keys(house, wanted.project, life) as (key, operator):
        watch = connect(operator)
        await _require_running(watch, instance)
        async with _resized(house, instance, max(loads), found):
            shown.say(f"starting with a load of {max(loads)}")
            await until_sized(watch, _deployment(instance), max(loads), instance.replicas, READY_SECONDS)
            asker = Asker(connect(key), instance.snapshot, instance.context)
            await asker.learn()
            await _sweep(asker, loads, wanted, found, shown)
            if wanted.objective:
                found.best = recommended(found.levels, wanted.objective)
            if found.best and wanted.apply:
                found.load = found.best.load
    await _keep(house, instance, found.levels)


async def _sweep(asker: Asker, loads: Sequence[int], wanted: Wanted, found: Tuned, shown: Shown) -> None:
    assert found.instance is not None
    replicas = found.instance.replicas
    sweep = Sweep(asker, found.mix, requests=wanted.requests, seconds=wanted.seconds)
    found.levels = sweep.levels
    total = sum(sweep.sample(load * replicas) for load in loads)

    def changed() -> None:
        load = loads[min(len(sweep.levels), len(loads) - 1)]
        shown.say(f"measuring a load of {load}")
        shown.count(sweep.done, total)

    sweep.changed = changed
    changed()
    await sweep.run(loads, replicas)


@contextmanager
def _alone(home: Path, id: str) -> Iterator[None]:
    """Raises `CommandFailed` while another command of this data folder measures the same instance."""
    path = home / "run" / f"{derived_id('tune-', id)}.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refused(f"{id} is being measured by another command") from None
        yield


async def _tunable(house: House, id: str) -> tuple[Instance, Entry]:
    """The instance and its snapshot. Raises `NotFound`, or `CommandFailed` for what cannot be measured."""
    instance = (await house.dedicated.get(house.organization_id, id)).instance
    entry = house.catalogue.entries.get(instance.snapshot)
    now = time.time()
    if entry is None or not instance.runs(now):
        raise _refused(f"{id} does not run now")
    if entry.task != "chat":
        raise _refused(f"{id} is not for chat: other instances cannot be measured yet")
    async with house.database.connect() as connection:
        sold = await connection.run_sync(partial(instances, organization_id=house.organization_id))
    if any(one.snapshot == instance.snapshot and one.id != id and one.runs(now) for one in sold):
        raise _refused(f"the organization has another instance of {instance.snapshot}, which would help out")
    return instance, entry


def _refused(message: str) -> CommandFailed:
    return CommandFailed(message, exit_code=ExitCode.REFUSED)


def _usual(entry: Entry, instance: Instance) -> tuple[int, ...]:
    """1, 2, 4 and so on, up to what the catalogue has its engine serve, or what the instance has already."""
    most = min(max(entry.slots_of(instance.engine), instance.load), entry.most_load(instance.engine))
    return tuple(sorted({*(2**power for power in range(most.bit_length())), most}))


async def _mix(house: House, instance: Instance, wanted: Wanted) -> tuple[Sequence[Shape], bool]:
    """The lengths that are asked for, and whether they are the organization's own."""
    since = int(time.time()) - wanted.days * DAY
    async with house.database.connect() as connection:
        shapes = partial(workload.shapes, since=since, limit=wanted.requests)
        found = await connection.run_sync(shapes, house.organization_id, instance.snapshot)
    return (found, True) if found else (USUAL, False)


@asynccontextmanager
async def _keys(house: House, project: str, life: int) -> AsyncIterator[tuple[str, str]]:
    """A key of the organization and one of the operator, for so many seconds at most."""
    keys = house.access.keys
    belongs = await house.access.projects.ensure(house.organization_id, project, by=None)
    made = []
    try:
        for realm in (Realm(house.organization_id, belongs.id), Realm()):
            new = NewKey(realm=realm, name=MEASURING, scopes=["chat"], expires_in_seconds=life)
            made.append(await keys.create(new, by=None))
        (_, key), (_, operator) = made
        yield key, operator
    finally:
        for one, _ in made:
            await keys.revoke(one.realm, one.id, by=None)


def _deployment(instance: Instance) -> str:
    """What its pool is called, as `values.Deployment` names it."""
    return f"{instance.snapshot}@{instance.id}"


async def _require_running(client: Client, instance: Instance) -> None:
    """Raise `CommandFailed` unless the server at the other end runs the instance."""
    try:
        known = await client.slots(_deployment(instance))
    except CommandFailed as problem:
        if problem.exit_code is not ExitCode.REFUSED:
            raise
        known = {}
    if not known:
        raise CommandFailed(
            "the server does not run this instance: it has another data folder or database",
            fix="give --base-url, or --home",
            exit_code=ExitCode.REFUSED,
        )


@asynccontextmanager
async def _resized(house: House, instance: Instance, load: int, found: Tuned) -> AsyncIterator[None]:
    """Let it have a larger load, and nothing spill over; then what `found.load` says, and all as before."""
    during = msgspec.structs.replace(instance, load=max(load, instance.load), spill_over=False)
    await _change(house, instance, during)
    try:
        yield
    finally:
        try:
            after = await _change(house, during, msgspec.structs.replace(instance, load=found.load))
        except InvalidRequest:
            after = (await house.dedicated.get(house.organization_id, instance.id)).instance
            if not after.over(time.time()):
                raise
        found.load = after.load


async def _change(house: House, before: Instance, after: Instance) -> Instance:
    """The instance then. What is not as `before` any more was changed by somebody else, and stays."""
    change = Change(
        load=after.load if after.load != before.load else msgspec.UNSET,
        spill_over=after.spill_over if after.spill_over != before.spill_over else msgspec.UNSET,
    )
    changed = await house.dedicated.update(house.organization_id, before.id, change, by=None, seen=before)
    return changed.instance


async def _keep(house: House, instance: Instance, levels: Sequence[Level]) -> None:
    now = time.time()
    made = Measurement(
        id=ordered_id("measurement_", now),
        organization_id=house.organization_id,
        snapshot=instance.snapshot,
        engine=instance.engine,
        measured_at=int(now),
        levels=tuple(levels),
    )
    async with house.database.begin() as connection:
        await connection.run_sync(measurements.save, made)
        await audit.record(
            connection,
            "dedicated_measurement.created",
            {"id": made.id, "data": {"snapshot": made.snapshot, "engine": made.engine}},
            organization_id=made.organization_id,
            by=None,
            now=now,
        )
