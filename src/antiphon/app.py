"""The composition root: every service is built here, once, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from antiphon import engines
from antiphon.access.access import opened
from antiphon.access.authenticator import Authenticator
from antiphon.admission.counters import Counters
from antiphon.admission.gate import Gate
from antiphon.admission.memory import Memory
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.api import openapi
from antiphon.api.admin.table import Administration, rows
from antiphon.api.audio import AudioApi
from antiphon.api.chat import ChatApi
from antiphon.api.chat_audio import Hearing
from antiphon.api.completions import CompletionApi
from antiphon.api.edge import Edge
from antiphon.api.embeddings import EmbeddingApi
from antiphon.api.idempotency import Idempotency
from antiphon.api.info import InfoApi
from antiphon.api.model_page import ModelPage
from antiphon.api.reference import ReferenceApi
from antiphon.api.routes import Route
from antiphon.api.table import table
from antiphon.api.uploads import Uploads
from antiphon.catalogue import preparing
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.listing import Names
from antiphon.catalogue.live import LiveCatalogue
from antiphon.catalogue.store import ModelStore
from antiphon.engines.base import EngineKind
from antiphon.errors import AntiphonError
from antiphon.inference.chat import Chat
from antiphon.inference.completions import Completions
from antiphon.inference.embeddings import Embeddings
from antiphon.inference.metrics import Metrics
from antiphon.inference.transcription import Transcription
from antiphon.ledger import ledger as accounts
from antiphon.ledger.ledger import Ledger
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.telling import Teller
from antiphon.operations.timekeeping import Timekeeper
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.pools import reports
from antiphon.pools.attached import AttachedReplica, Wish
from antiphon.pools.demand import Demand, Keeper
from antiphon.pools.member import Member
from antiphon.pools.plan import Unit
from antiphon.pools.policy import ELSEWHERE, Pace
from antiphon.pools.pools import Pools
from antiphon.pools.replica import Replica
from antiphon.pools.reports import Gateways, Told
from antiphon.runtime.base import Runtime
from antiphon.runtime.elsewhere import Elsewhere
from antiphon.runtime.local import LocalRuntime
from antiphon.runtime.ray import RayRuntime
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.values import Deployment
from antiphon.wire.models import Readiness

_log = logging.getLogger("antiphon")

_FLUSH_SECONDS = 60.0
_STOP_SECONDS = 5.0
_SCALE_SECONDS = 1.0
_ATTACH_SECONDS = 3.0


class Antiphon(msgspec.Struct, frozen=True):
    """The running service. `first_key` is the secret of the key that the first start makes, else None."""

    edge: Edge
    first_key: str | None
    ready: asyncio.Event
    """Set once every engine has been ready for the first time."""
    pools: Pools
    waiting: Callable[[], Mapping[str, int]]
    """Requests that wait for an engine, by the names of deployments."""


class Engines(msgspec.Struct, frozen=True):
    """The engines of several gateway processes, and what is told between them and these."""

    first_key: str | None
    gateways: Gateways


@asynccontextmanager
async def running(
    settings: Settings, process: int | None = None, told: Told | None = None
) -> AsyncIterator[Antiphon]:
    """The service for as long as the block runs: engines start in the background, and end with the block.

    `process`: which of several gateway processes this is; it uses the engines that `supervising` runs, of
    which it is `told`.
    """
    home = settings.home_path
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(settings.database_url))
        await upgrade(database)
        # What every request waits for has connections that no page of the administration can occupy.
        prompt = await stack.enter_async_context(database.apart())
        access = await opened(database, home, prompt)
        first_key = await access.ensure_default()
        keys = access.authenticator
        runtime = _runtime(settings)
        stack.push_async_callback(runtime.close)
        pools = (
            _attached(settings, told, process)
            if told
            else _own(settings, runtime, Gateways(), lambda id: catalogue.entry(id))
        )
        catalogue = LiveCatalogue(settings, Changes(prompt), pools.follow, pools.serves, pools.broken)
        uploads = await asyncio.to_thread(_uploads, home, process)
        ledger = await stack.enter_async_context(accounts.running(prompt, home, keys=database))
        counters = await stack.enter_async_context(_counters(settings))
        gate = Gate(settings, limits=RateLimits(prompt, settings).of, counters=counters)
        dedicated = Dedicated(database, lambda: catalogue.catalogue, settings, time.time)
        administration = Administration(
            access=access,
            rate_limits=RateLimits(database, settings),
            spend_limits=SpendLimits(database),
            snapshots=lambda: catalogue.catalogue.served,
            dedicated=dedicated,
            database=database,
            clock=time.time,
        )
        admin = rows(administration)
        edge = build_edge(settings, catalogue, pools, keys, ledger, uploads, process, admin, gate)
        ready = _first_readiness(pools)
        _whenever(pools, catalogue.take)
        await catalogue.start()
        if told is not None:
            await _attached_to(told, pools)
        work = {"catalogue": catalogue.run(), "keys": _flush_often(keys)}
        if told is None:
            # In several processes that is for the one that runs the engines to do.
            work["scale"] = _scale(pools, lambda key: 0, lambda name: gate.waiting().get(name, 0))
            work["time"] = _time(settings, database, runtime, dedicated, pools)
            work |= await _telling(settings, database, lambda: catalogue.catalogue)
        try:
            async with _beside(work):
                yield Antiphon(edge, first_key, ready, pools, gate.waiting)
        finally:
            await pools.stop(_STOP_SECONDS)
            await _flush(keys)


@asynccontextmanager
async def supervising(settings: Settings) -> AsyncIterator[Engines]:
    """What several gateway processes share, for as long as the block runs: engines, and the first start."""
    home = settings.home_path
    async with Database(settings.database_url) as database:
        await upgrade(database)
        first_key = await (await opened(database, home)).ensure_default()
        await asyncio.to_thread(_uploads, home)
        gateways, runtime = Gateways(), _runtime(settings)
        pools = _own(settings, runtime, gateways, lambda id: catalogue.entry(id))
        catalogue = LiveCatalogue(settings, Changes(database), pools.follow, pools.serves, pools.broken)
        gateways.on_wake = pools.wake

        def tell() -> None:
            gateways.tell(reports.Engines(pools.reports()))

        _whenever(pools, tell)
        await catalogue.start()
        dedicated = Dedicated(database, lambda: catalogue.catalogue, settings, time.time)
        keeping = _time(settings, database, runtime, dedicated, pools)
        scaling = _scale(pools, gateways.busy, gateways.waiting, tell)
        work = {"catalogue": catalogue.run(), "scale": scaling, "time": keeping}
        work |= await _telling(settings, database, lambda: catalogue.catalogue)
        try:
            async with _beside(work):
                yield Engines(first_key, gateways)
        finally:
            await pools.stop(_STOP_SECONDS)
            await runtime.close()


def _time(
    settings: Settings, database: Database, runtime: Runtime, dedicated: Dedicated, pools: Pools
) -> Coroutine[Any, Any, None]:
    """What keeps time for dedicated instances."""
    ready = pools.ready_instances
    return Timekeeper(database, runtime, dedicated, ready, time.time, server=settings.server).run()


@asynccontextmanager
async def _beside(work: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Let this go on, by name, for as long as the block runs."""
    tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
    for task in tasks:
        task.add_done_callback(_tell_of_end)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_STOP_SECONDS)


async def _telling(
    settings: Settings, database: Database, catalogue: Callable[[], Catalogue]
) -> dict[str, Coroutine[Any, Any, None]]:
    """What tells the operator's webhook, if there is one."""
    if not settings.webhook:
        return {}
    webhook = Webhook(settings.webhook, await asyncio.to_thread(load_secret, settings.home_path))
    days, name = settings.webhook_days, settings.server
    return {"webhook": Teller(database, catalogue, webhook, days, name, time.time).run()}


def _tell_of_end(task: asyncio.Task[None]) -> None:
    """What was to go on for ever has ended: nobody awaits it, who could tell why."""
    if not task.cancelled() and (problem := task.exception()):
        _log.error("%s has ended", task.get_name(), exc_info=problem)


async def _scale(
    pools: Pools,
    busy: Callable[[str], int],
    waiting: Callable[[str], int],
    scaled: Callable[[], None] = lambda: None,
) -> None:
    """Look again and again at how many replicas there should be."""
    while True:
        await asyncio.sleep(_SCALE_SECONDS)
        pools.scale(busy, waiting, time.monotonic())
        scaled()


def _own(settings: Settings, runtime: Runtime, gateways: Gateways, entry: Callable[[str], Entry]) -> Pools:
    """Pools that run the engines, for requests of this process or of `gateways`."""
    store = ModelStore(settings.home_path)

    async def verify(deployment: Deployment) -> None:
        await asyncio.to_thread(store.verify, entry(deployment.snapshot))
        if deployment.prepared is not None:
            await asyncio.to_thread(preparing.verify, deployment.prepared)

    idle = max(settings.engine_idle_seconds, settings.queue_seconds)
    # Whole processors are dealt out by one for all engines of this machine.
    local = runtime if isinstance(runtime, LocalRuntime) else _local(settings)

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        place, pace, first = runtime, Pace(), unit.deployments[0]
        if kind.reached is not None:
            place, pace = Elsewhere(partial(kind.reached, first, unit.replica, settings)), ELSEWHERE
        elif first.site is not None:
            place = local  # where the operator's keys are
        replica = Replica(unit, kind, changed, settings=settings, runtime=place, verify=verify, pace=pace)

        def busy() -> int:
            return replica.busy + gateways.busy(unit.key)

        return replica, Demand(replica, busy, idle, gateways.heard, spare=unit.spare)

    return Pools(engines.kinds(), make, in_use=gateways.use)


def _runtime(settings: Settings) -> Runtime:
    return RayRuntime(settings.ray_address) if settings.runtime == "ray" else _local(settings)


def _local(settings: Settings) -> LocalRuntime:
    return LocalRuntime(settings.home_path / "run", settings.home_path / "logs")


def _attached(settings: Settings, told: Told, process: int | None) -> Pools:
    """Pools of engines that another process runs; processes are numbered from 1 on."""

    def make(unit: Unit, kind: EngineKind, changed: Callable[[], None]) -> tuple[Member, Keeper]:
        replica = AttachedReplica(unit, kind, changed, settings=settings, told=told, pace=Pace())
        return replica, Wish(replica, told, unit.key)

    return Pools(engines.kinds(), make, part=((process or 1) - 1, settings.processes))


async def _attached_to(told: Told, pools: Pools) -> None:
    """Return once this process uses the engines that run: to its first request a name means what it does to
    all others. An engine that does not answer is waited for a few seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_ATTACH_SECONDS):
            await told.heard.wait()
            await pools.using(lambda: told.engines.ready)


def _whenever(pools: Pools, call: Callable[[], None]) -> None:
    """Call whenever any engine becomes ready, or is not ready any more."""
    pools.on_pool.append(lambda pool: pool.on_change.append(call))


@asynccontextmanager
async def _counters(settings: Settings) -> AsyncIterator[Counters]:
    """Where rates are counted: in the memory of each process, or in a Valkey for all of them."""
    if settings.valkey:
        from antiphon.admission.valkey import Valkey  # slow to import, and often not needed

        async with Valkey(settings.valkey, Memory(settings.processes)) as counters:
            yield counters
    else:
        yield Memory()


def build_edge(
    settings: Settings,
    catalogue: Names,
    pools: Pools,
    keys: Authenticator,
    ledger: Ledger,
    uploads: Path,
    process: int | None = None,
    admin: Sequence[Route] = (),
    gate: Gate | None = None,
) -> Edge:
    metrics = Metrics(process)
    gate = gate or Gate(settings)
    pools.on_pool.append(lambda pool: pool.on_change.append(partial(gate.pump, pool.deployment.name)))
    metrics.gauge("antiphon_waiting_requests", "Requests that wait for an engine", "snapshot", gate.waiting)
    metrics.gauge(
        "antiphon_engine_slots",
        "Requests that the ready engines serve at once",
        "snapshot",
        lambda: {pool.deployment.name: pool.capacity for pool in pools},
    )

    def readiness() -> Readiness:
        states: dict[str, str] = {name: replicas[0].state for name, replicas in pools.status().items()}
        if edge.draining:
            return Readiness(status="draining", deployments=states)
        ready = states and pools.ready and ledger.ready
        return Readiness(status="ready" if ready else "unavailable", deployments=states)

    reference = ReferenceApi()
    idempotency = Idempotency(ledger.idempotency_keys)
    services = (settings, catalogue, gate, pools, ledger.meter, metrics)
    transcription, received = Transcription(*services), Uploads(settings, uploads)
    routes = table(
        ChatApi(settings, Chat(*services), Hearing(transcription, received), idempotency),
        CompletionApi(settings, Completions(*services), idempotency),
        EmbeddingApi(settings, Embeddings(*services), idempotency),
        AudioApi(transcription, received, idempotency),
        InfoApi(catalogue, metrics, readiness, settings.public_metrics),
        reference,
        ModelPage(catalogue.listing, settings.public_models),
        admin,
    )
    reference.describe(openapi.document(routes))
    edge = Edge(settings, routes, keys, gate, metrics)
    return edge


def _first_readiness(pools: Pools) -> asyncio.Event:
    ready = asyncio.Event()

    def look() -> None:
        if pools.ready:
            ready.set()

    _whenever(pools, look)
    return ready


def _uploads(home: Path, process: int | None = None) -> Path:
    """The folder of a process's running uploads, private, and empty: what a crash left behind is removed."""
    folder = home / "uploads" / ("" if process is None else str(process))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


async def _flush_often(keys: Authenticator) -> None:
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        await _flush(keys)


async def _flush(keys: Authenticator) -> None:
    """Write when each key was last used."""
    try:
        await keys.flush_used()
    except AntiphonError as problem:
        _log.warning("the last use of keys could not be written: %s", problem)
