"""The composition root: every service is built here, once, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from antiphon import engines
from antiphon.access.keys import Keys
from antiphon.access.pepper import load_pepper
from antiphon.admission.gate import Gate
from antiphon.api import openapi
from antiphon.api.audio import AudioApi
from antiphon.api.chat import ChatApi
from antiphon.api.edge import Edge
from antiphon.api.info import InfoApi
from antiphon.api.reference import ReferenceApi
from antiphon.api.table import table
from antiphon.catalogue.catalogue import Catalogue, load
from antiphon.catalogue.store import ModelStore
from antiphon.errors import AntiphonError
from antiphon.inference.chat import Chat
from antiphon.inference.metrics import Metrics
from antiphon.inference.transcription import Transcription
from antiphon.pools.pool import Pools
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
async def running(settings: Settings) -> AsyncIterator[Antiphon]:
    """The service for as long as the block runs: engines start in the background, and end with the block."""
    home = settings.home_path
    async with Database(settings.database_url) as database:
        await upgrade(database)
        keys = Keys(database, await asyncio.to_thread(load_pepper, home))
        first_key = await keys.ensure_default()
        store = ModelStore(home)
        catalogue = await asyncio.to_thread(load, home)
        deployments = catalogue.deployments(store)
        pools = _pools(settings, catalogue, store, deployments)
        edge = build_edge(settings, catalogue, pools, keys, await asyncio.to_thread(_uploads, home))
        ready = _first_readiness(pools)
        pools.start()
        flushing = asyncio.create_task(_flush(keys))
        try:
            yield Antiphon(edge, first_key, ready)
        finally:
            flushing.cancel()
            await pools.stop(_STOP_SECONDS)
            await keys.flush_used()


def _pools(
    settings: Settings, catalogue: Catalogue, store: ModelStore, deployments: list[Deployment]
) -> Pools:
    async def verify(deployment: Deployment) -> None:
        await asyncio.to_thread(store.verify, catalogue.entries[deployment.snapshot])

    runtime = LocalRuntime(settings.home_path / "run", settings.home_path / "logs")
    return Pools(deployments, engines.kinds(), settings, runtime, verify)


def build_edge(settings: Settings, catalogue: Catalogue, pools: Pools, keys: Keys, uploads: Path) -> Edge:
    metrics = Metrics()
    gate = Gate(settings)
    for name in pools.status():
        pools.get(name).on_change.append(partial(gate.pump, name))
    metrics.gauge("antiphon_waiting_requests", "Requests that wait for an engine", "snapshot", gate.waiting)
    metrics.gauge(
        "antiphon_engine_slots",
        "Requests that the ready engines serve at once",
        "snapshot",
        lambda: {name: pools.get(name).capacity for name in pools.status()},
    )

    def readiness() -> Readiness:
        states: dict[str, str] = {name: replicas[0].state for name, replicas in pools.status().items()}
        if edge.draining:
            return Readiness(status="draining", deployments=states)
        return Readiness(status="ready" if states and pools.ready else "unavailable", deployments=states)

    reference = ReferenceApi()
    routes = table(
        ChatApi(settings, Chat(settings, catalogue, gate, pools, metrics)),
        AudioApi(settings, Transcription(settings, catalogue, gate, pools, metrics), uploads),
        InfoApi(catalogue, metrics, readiness, settings.public_metrics),
        reference,
    )
    reference.describe(openapi.document(routes))
    edge = Edge(settings, routes, keys, gate, metrics)
    return edge


def _first_readiness(pools: Pools) -> asyncio.Event:
    ready = asyncio.Event()

    def look() -> None:
        if pools.ready:
            ready.set()

    for name in pools.status():
        pools.get(name).on_change.append(look)
    return ready


def _uploads(home: Path) -> Path:
    """The folder of running uploads, private, and empty: what a crash left behind is removed."""
    folder = home / "uploads"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


async def _flush(keys: Keys) -> None:
    """Write from time to time when each key was last used."""
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        try:
            await keys.flush_used()
        except AntiphonError as problem:
            _log.warning("the last use of keys could not be written: %s", problem)
