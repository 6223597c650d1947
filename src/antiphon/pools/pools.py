"""Every pool, kept as the catalogue would have it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from msgspec.structs import replace

from antiphon.engines.base import EngineKind
from antiphon.errors import Unavailable
from antiphon.pools.demand import Keeper
from antiphon.pools.member import Member, Status
from antiphon.pools.plan import Unit, units
from antiphon.pools.policy import replicas_wanted
from antiphon.pools.pool import RETRY_AFTER, Place, Pool
from antiphon.pools.reports import Report
from antiphon.values import Deployment, Feature

log = logging.getLogger("antiphon.pools")

_CALM_SECONDS = 60.0
"""For how long fewer replicas must do before one is given up."""
_LOOK = 0.25
"""Seconds between two looks at whether an engine that is replaced is still in use."""
_IDLE_LOOKS = 5
"""After one another at which it must not be: a request that was let in may be on its way to it."""

Make = Callable[[Unit, EngineKind, Callable[[], None]], tuple[Member, Keeper]]
"""Makes a member and what keeps it; the member calls the function whenever what it serves changes."""


class Incapable(Exception):
    """No engine of a snapshot can do all that a request needs; the first has not this `feature`."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self.feature: Feature = feature


@dataclass
class _Scale:
    """How many replicas of a generation are to run, and since when fewer would do."""

    wanted: int
    calm_since: float | None = None


@dataclass
class _Running:
    """A unit, its member, and the pools that it serves."""

    unit: Unit
    member: Member
    keeper: Keeper
    pools: list[Pool] = field(default_factory=list)
    leaving: asyncio.Task[None] | None = None


class Pools:
    """The pools of a plan; a snapshot that several engines serve has one for each, the preferred first.

    `in_use` says whether somebody beyond this process uses the engine of a unit, by its key. One that is no
    longer in the plan is ended once nobody does, `patience` seconds later at the latest. `part`: which of
    how many processes this is that use the same engines, each its part of their slots.
    """

    def __init__(
        self,
        kinds: Mapping[str, EngineKind],
        make: Make,
        *,
        in_use: Callable[[str], bool] = lambda key: False,
        patience: float = 600.0,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._kinds = kinds
        self._make = make
        self._in_use = in_use
        self._patience = patience
        self._part = part
        self._planned: dict[str, list[Pool]] = {}
        """By snapshot, as the last plan has them: what everybody is served by."""
        self._dedicated: dict[tuple[str, str], list[Pool]] = {}
        """By organization and snapshot: what an organization has for itself."""
        self._by_name: dict[str, Pool] = {}
        """Also those that are leaving, by the names of their deployments."""
        self._scales: dict[str, _Scale] = {}
        """By the generations of units."""
        self._running: dict[str, _Running] = {}
        """By the keys of units."""
        self._ending: set[asyncio.Task[None]] = set()
        self.on_pool: list[Callable[[Pool], None]] = []
        """Called with every new pool."""

    def follow(self, deployments: Iterable[Deployment]) -> None:
        """Run these from now on; returns at once. Needs a running event loop.

        What stays the same is left alone; what is new is started, and becomes ready later; what is replaced
        or gone ends when it is not used any more. Raises `ConfigurationError`, and then nothing changes.
        """
        found = units(deployments, self._kinds)
        plan = {unit.key: (replace(unit, part=self._part), kind) for unit, kind in found}
        self._planned, self._dedicated = {}, {}
        for key, (unit, kind) in plan.items():
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = self._begin(unit, kind)
            elif running.leaving is not None:
                self._welcome_back(running)
            running.unit = unit
            if not unit.spare:
                running.member.retiring = False
            for pool in running.pools:
                pool.deployment = next(d for d in unit.deployments if d.name == pool.deployment.name)
                planned = self._place_of(pool.deployment)
                if pool not in planned:
                    planned.append(pool)
            running.keeper.require(not (unit.on_demand or unit.spare))
        generations = {unit.generation for unit, _ in plan.values()}
        for key, running in self._running.items():
            if key not in plan and running.leaving is None:
                # One too many of those that stay: the others take its requests from now on.
                running.member.retiring = running.unit.generation in generations
                running.leaving = asyncio.create_task(self._leave(key, running), name=f"leaving-{key}")

    def scale(self, busy: Callable[[str], int], waiting: Callable[[str], int], now: float) -> None:
        """Let as many replicas run as there is work for: more at once, fewer after a while.

        `busy` are the requests of other processes that hold the engine of a unit, by its key; `waiting` those
        that wait for a deployment anywhere, by its name; `now` is monotonic.
        """
        groups: dict[str, list[_Running]] = {}
        for running in self._running.values():
            if running.leaving is None:
                groups.setdefault(running.unit.generation, []).append(running)
        self._scales = {key: scale for key, scale in self._scales.items() if key in groups}
        for generation, group in groups.items():
            if any(one.unit.spare for one in group):
                self._scale(generation, group, busy, waiting, now)

    def _scale(
        self,
        generation: str,
        group: Sequence[_Running],
        busy: Callable[[str], int],
        waiting: Callable[[str], int],
        now: float,
    ) -> None:
        least = sum(not one.unit.spare for one in group)
        scale = self._scales.setdefault(generation, _Scale(least))
        wanted = replicas_wanted(
            scale.wanted,
            sum(one.member.ready and one.unit.replica < scale.wanted for one in group),
            sum(one.member.busy + busy(one.unit.key) for one in group),
            sum(waiting(pool.deployment.name) for pool in group[0].pools),
            sum(deployment.slots for deployment in group[0].unit.deployments),
            (least, len(group)),
        )
        if wanted >= scale.wanted:
            scale.wanted, scale.calm_since = wanted, None
        elif scale.calm_since is None:
            scale.calm_since = now
        elif now - scale.calm_since >= _CALM_SECONDS:
            scale.wanted, scale.calm_since = wanted, now
        for one in group:
            if one.unit.spare:
                runs = one.unit.replica < scale.wanted
                one.member.retiring = not runs
                one.keeper.require(runs)

    async def stop(self, grace: float) -> None:
        """End every engine; running requests are expected to be over. No task or process is left."""
        leaving = {running.leaving for running in self._running.values() if running.leaving}
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, *self._ending, return_exceptions=True)
        await asyncio.gather(*(running.keeper.stop(grace) for running in self._running.values()))

    def __iter__(self) -> Iterator[Pool]:
        """Those of the plan."""
        for pools in (*self._planned.values(), *self._dedicated.values()):
            yield from pools

    def get(
        self, snapshot: str, needs: Set[Feature] = frozenset(), wishes: Set[Feature] = frozenset()
    ) -> Pool:
        """The pool that serves a snapshot to a request with these needs: the preferred one that can.

        One that can do what the request wishes, too, goes before one that cannot; one whose engines end again
        and again is passed over where another can do it.

        Raises `Unavailable` when the snapshot is not served, and `Incapable` when no engine of it can do all.
        """
        pools = self._planned.get(snapshot)
        if pools is None:
            raise Unavailable("The model is not being served.", retry_after=RETRY_AFTER)
        able = [pool for pool in pools if needs <= pool.kind.features]
        if not able:
            raise Incapable(min(needs - pools[0].kind.features))
        return _sound([pool for pool in able if wishes <= pool.kind.features] or able)

    def dedicated(self, organization: str, snapshot: str) -> Sequence[Pool]:
        """The instances of a snapshot that an organization has for itself."""
        return self._dedicated.get((organization, snapshot), ())

    def ready_instances(self) -> set[tuple[str, int]]:
        """The dedicated instances that would serve a request now, by id, and which of their replicas."""
        return {
            (deployment.instance, running.unit.replica)
            for running in self._running.values()
            for deployment in running.unit.deployments
            if deployment.instance and running.member.serving(deployment.snapshot)
        }

    def rouse(self, snapshot: str) -> None:
        """Somebody may soon ask for what everybody is served by: what sleeps of it begins to wake."""
        if snapshot in self._planned:
            _sound(self._planned[snapshot]).wake()

    def serves(self, snapshot: str) -> bool:
        """Whether a request for a snapshot would be served now."""
        pools = self._planned.get(snapshot)
        return pools is not None and _sound(pools).ready

    async def using(self, keys: Callable[[], Iterable[str]]) -> None:
        """Return once the engines of these units are ready, as far as they are run or used here."""
        await _until(lambda: all(self._running[key].member.ready for key in keys() if key in self._running))

    def broken(self, snapshot: str) -> bool:
        """Whether the engines of a snapshot end again and again, here where they are run."""
        pools = self._planned.get(snapshot)
        return pools is not None and _sound(pools).broken

    @property
    def ready(self) -> bool:
        """Whether every snapshot would serve a request now; those on demand and those to come need not."""
        first = [_sound(pools) for pools in self._planned.values()]
        needed = [pool for pool in first if not (pool.deployment.on_demand or pool.deployment.coming)]
        return all(pool.ready for pool in needed)

    def busy(self) -> dict[str, int]:
        """The units whose engines are used here or may be, by key, and the requests that hold each."""
        return {key: running.member.busy for key, running in self._running.items()}

    def reports(self) -> dict[str, Report]:
        """What others, who are to use the engines of this process, have to know: by the keys of units."""
        found = {key: running.member.report() for key, running in self._running.items()}
        return {key: report for key, report in found.items() if report}

    def wake(self, key: str) -> None:
        """Somebody elsewhere is about to ask for the engine of a unit."""
        if key in self._running:
            self._running[key].keeper.wake()

    def status(self) -> dict[str, list[Status]]:
        """The engines of each deployment, by its name."""
        return {name: pool.status() for name, pool in self._by_name.items()}

    def _place_of(self, deployment: Deployment) -> list[Pool]:
        if deployment.instance:
            return self._dedicated.setdefault((deployment.organization, deployment.snapshot), [])
        return self._planned.setdefault(deployment.snapshot, [])

    def _begin(self, unit: Unit, kind: EngineKind) -> _Running:
        pools = [self._pool(deployment, kind) for deployment in unit.deployments]

        def changed() -> None:
            for pool in pools:
                pool.changed()

        member, keeper = self._make(unit, kind, changed)
        for pool in pools:
            pool.kind = kind
            pool.places.append(Place(member, keeper, unit.generation))
        return _Running(unit, member, keeper, pools)

    def _pool(self, deployment: Deployment, kind: EngineKind) -> Pool:
        pool = self._by_name.get(deployment.name)
        if pool is None:
            pool = self._by_name[deployment.name] = Pool(deployment, kind)
            for callback in self.on_pool:
                callback(pool)
        return pool

    def _welcome_back(self, running: _Running) -> None:
        """What was leaving is wanted again, as its own successor."""
        assert running.leaving is not None
        running.leaving.cancel()
        running.leaving = None
        running.member.retiring = False
        for pool in running.pools:
            pool.places.sort(key=lambda place: place.generation == running.unit.generation)
            pool.changed()

    async def _leave(self, key: str, running: _Running) -> None:
        """End an engine that is no longer in the plan, once nobody needs it."""
        await _until(lambda: not self._needed(running))
        try:
            async with asyncio.timeout(self._patience):
                await _until(lambda: not (running.member.busy or self._in_use(key)), _IDLE_LOOKS)
        except TimeoutError:
            log.warning("the engine of %s is ended under its last requests", running.unit.process)
        # From here on it is nobody's: who wants it back gets a new one.
        del self._running[key]
        assert running.leaving is not None
        self._ending.add(running.leaving)
        running.leaving.add_done_callback(self._ending.discard)
        for pool in running.pools:
            pool.places = [place for place in pool.places if place.member is not running.member]
            if not pool.places:
                del self._by_name[pool.deployment.name]
            pool.changed()
        await running.keeper.stop(0.0)

    def _needed(self, running: _Running) -> bool:
        """Whether it stands in for a successor that is to be ready, and is not yet."""
        if running.unit.on_demand or running.unit.spare or running.member.retiring:
            return False
        planned = list(self)
        return any(pool in planned and not pool.passed_over(running.member) for pool in running.pools)


async def _until(condition: Callable[[], bool], looks: int = 1) -> None:
    """Return once a condition has held at so many looks after one another."""
    held = 0
    while True:
        held = held + 1 if condition() else 0
        if held == looks:
            return
        await asyncio.sleep(_LOOK)


def _sound(pools: Sequence[Pool]) -> Pool:
    """The first that is not broken; if all are, the first."""
    return next((pool for pool in pools if not pool.broken), pools[0])
