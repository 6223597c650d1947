"""The composition root: every service is built here, once, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from antiphon import engines
from antiphon.access.access import opened
from antiphon.access.authenticator import Authenticator
from antiphon.admission.counters import Counters
from antiphon.admission.gate import Gate
from antiphon.admission.memory import Memory
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.admission.valkey import Valkey
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
from antiphon.api.reference import ReferenceApi
from antiphon.api.routes import Route
from antiphon.api.table import table
from antiphon.api.uploads import Uploads
from antiphon.catalogue import preparing
from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.store import ModelStore
from antiphon.errors import AntiphonError
from antiphon.inference.chat import Chat
from antiphon.inference.completions import Completions
from antiphon.inference.embeddings import Embeddings
from antiphon.inference.metrics import Metrics
from antiphon.inference.transcription import Transcription
from antiphon.ledger import ledger as accounts
from antiphon.ledger.ledger import Ledger
from antiphon.pools.attached import AttachedReplica
from antiphon.pools.policy import Pace
from antiphon.pools.pool import Pools
from antiphon.pools.replica import Replica
from antiphon.runtime.local import LocalRuntime
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.values import Deployment
from antiphon.wire.models import Readiness

_log = logging.getLogger("antiphon")

_FLUSH_SECONDS = 60.0
_STOP_SECONDS = 5.0


class Antiphon(msgspec.Struct, frozen=True):
    """The running service. `first_key` is the secret of the key that the first start makes, else None."""

    edge: Edge
    first_key: str | None
    ready: asyncio.Event
    """Set once every engine has been ready for the first time."""


@asynccontextmanager
async def running(settings: Settings, process: int | None = None) -> AsyncIterator[Antiphon]:
    """The service for as long as the block runs: engines start in the background, and end with the block.

    `process`: which of several gateway processes this is; it uses the engines that `supervising` runs.
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
        catalogue = await asyncio.to_thread(load, home)
        pools = _pools(settings, catalogue) if process is None else _attached(settings, catalogue)
        uploads = await asyncio.to_thread(_uploads, home, process)
        ledger = await stack.enter_async_context(accounts.running(prompt, home, keys=database))
        counters = await stack.enter_async_context(_counters(settings))
        gate = Gate(settings, limits=RateLimits(prompt, settings).of, counters=counters)
        administration = Administration(
            access=access,
            rate_limits=RateLimits(database, settings),
            spend_limits=SpendLimits(database),
            snapshots=catalogue.served,
            database=database,
            clock=time.time,
        )
        admin = rows(administration)
        edge = build_edge(settings, catalogue, pools, keys, ledger, uploads, process, admin, gate)
        ready = _first_readiness(pools)
        pools.start()
        flushing = asyncio.create_task(_flush_often(keys))
        try:
            yield Antiphon(edge, first_key, ready)
        finally:
            flushing.cancel()
            await pools.stop(_STOP_SECONDS)
            await _flush(keys)


@asynccontextmanager
async def supervising(settings: Settings) -> AsyncIterator[str | None]:
    """What several gateway processes share, for as long as the block runs: the engines, and the first start.

    Gives the secret of the key that the first start makes, else None.
    """
    home = settings.home_path
    async with Database(settings.database_url) as database:
        await upgrade(database)
        first_key = await (await opened(database, home)).ensure_default()
    await asyncio.to_thread(_uploads, home)
    pools = _pools(settings, await asyncio.to_thread(load, home))
    pools.start()
    try:
        yield first_key
    finally:
        await pools.stop(_STOP_SECONDS)


def _pools(settings: Settings, catalogue: Catalogue) -> Pools:
    """Pools that run the engines."""
    store = ModelStore(settings.home_path)

    async def verify(deployment: Deployment) -> None:
        await asyncio.to_thread(store.verify, catalogue.entries[deployment.snapshot])
        if deployment.prepared is not None:
            await asyncio.to_thread(preparing.verify, deployment.prepared)

    make = partial(Replica, settings=settings, runtime=_runtime(settings), verify=verify, pace=Pace())
    # Several processes that are asked cannot start engines, which another one runs: it runs all of them.
    idle = max(settings.engine_idle_seconds, settings.queue_seconds) if settings.processes == 1 else None
    return Pools(catalogue.deployments(store, settings), engines.kinds(), make, idle)


def _attached(settings: Settings, catalogue: Catalogue) -> Pools:
    """Pools that use this process's share of engines that another process runs."""
    shares = [
        msgspec.structs.replace(deployment, slots=max(1, deployment.slots // settings.processes))
        for deployment in catalogue.deployments(ModelStore(settings.home_path), settings)
    ]
    make = partial(AttachedReplica, settings=settings, runtime=_runtime(settings), pace=Pace(probe=1.0))
    return Pools(shares, engines.kinds(), make)


def _runtime(settings: Settings) -> LocalRuntime:
    return LocalRuntime(settings.home_path / "run", settings.home_path / "logs")


@asynccontextmanager
async def _counters(settings: Settings) -> AsyncIterator[Counters]:
    """Where rates are counted: in the memory of each process, or in a Valkey for all of them."""
    if settings.valkey:
        async with Valkey(settings.valkey, Memory(settings.processes)) as counters:
            yield counters
    else:
        yield Memory()


def build_edge(
    settings: Settings,
    catalogue: Catalogue,
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
    for pool in pools:
        pool.on_change.append(partial(gate.pump, pool.deployment.name))
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

    for pool in pools:
        pool.on_change.append(look)
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
