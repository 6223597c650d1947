"""The composition root: every service is built here, once, started and stopped in order."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from antiphon.access.access import opened
from antiphon.admission.counters import Counters
from antiphon.admission.gate import Gate
from antiphon.admission.memory import Memory
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.api.admin.table import Administration, rows
from antiphon.api.edge import Edge
from antiphon.app.edge import build_edge
from antiphon.app.engines import attach, attached, keep_scaled, new_runtime, own, whenever
from antiphon.app.moderation import moderating, watching
from antiphon.app.work import beside, flush, flush_often, telling, time_kept
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.live import LiveCatalogue
from antiphon.ledger import ledger as accounts
from antiphon.operations.dedicated import Dedicated
from antiphon.pools import reports
from antiphon.pools.pools import Pools
from antiphon.pools.reports import Gateways, Told
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade

_STOP_SECONDS = 5.0


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
        runtime = new_runtime(settings)
        stack.push_async_callback(runtime.close)
        pools = (
            attached(settings, told, process)
            if told
            else own(settings, runtime, Gateways(), lambda id: catalogue.entry(id))
        )
        catalogue = LiveCatalogue(settings, Changes(prompt), pools.follow, pools.serves, pools.broken)
        uploads = await asyncio.to_thread(_uploads, home, process)
        ledger = await stack.enter_async_context(accounts.running(prompt, home, keys=database))
        counters = await stack.enter_async_context(_counters(settings))
        gate = Gate(settings, limits=RateLimits(prompt, settings).of, counters=counters)
        dedicated = Dedicated(database, lambda: catalogue.catalogue, settings, time.time)
        moderation, monitor = await stack.enter_async_context(moderating(settings, database, gate))
        administration = Administration(
            access=access,
            rate_limits=RateLimits(database, settings),
            spend_limits=SpendLimits(database),
            snapshots=lambda: catalogue.catalogue.served,
            dedicated=dedicated,
            database=database,
            clock=time.time,
            moderation=moderation,
        )
        admin, observers = rows(administration), [monitor] if monitor else []
        edge = build_edge(settings, catalogue, pools, keys, ledger, uploads, process, admin, gate, observers)
        ready = _first_readiness(pools)
        whenever(pools, catalogue.take)
        await catalogue.start()
        if told is not None:
            await attach(told, pools)
        work = {"catalogue": catalogue.run(), "keys": flush_often(keys), **watching(moderation, monitor)}
        if told is None:
            # In several processes that is for the one that runs the engines to do.
            work["scale"] = keep_scaled(pools, lambda key: 0, lambda name: gate.waiting().get(name, 0))
            work["time"] = time_kept(settings, database, runtime, dedicated, pools)
            work |= await telling(settings, database, lambda: catalogue.catalogue)
        try:
            async with beside(work):
                yield Antiphon(edge, first_key, ready, pools, gate.waiting)
        finally:
            await pools.stop(_STOP_SECONDS)
            await flush(keys)


@asynccontextmanager
async def supervising(settings: Settings) -> AsyncIterator[Engines]:
    """What several gateway processes share, for as long as the block runs: engines, and the first start."""
    home = settings.home_path
    async with Database(settings.database_url) as database:
        await upgrade(database)
        first_key = await (await opened(database, home)).ensure_default()
        await asyncio.to_thread(_uploads, home)
        gateways, runtime = Gateways(), new_runtime(settings)
        pools = own(settings, runtime, gateways, lambda id: catalogue.entry(id))
        catalogue = LiveCatalogue(settings, Changes(database), pools.follow, pools.serves, pools.broken)
        gateways.on_wake = pools.wake

        def tell() -> None:
            gateways.tell(reports.Engines(pools.reports()))

        whenever(pools, tell)
        await catalogue.start()
        dedicated = Dedicated(database, lambda: catalogue.catalogue, settings, time.time)
        keeping = time_kept(settings, database, runtime, dedicated, pools)
        scaling = keep_scaled(pools, gateways.busy, gateways.waiting, tell)
        work = {"catalogue": catalogue.run(), "scale": scaling, "time": keeping}
        work |= await telling(settings, database, lambda: catalogue.catalogue)
        try:
            async with beside(work):
                yield Engines(first_key, gateways)
        finally:
            await pools.stop(_STOP_SECONDS)
            await runtime.close()


def _first_readiness(pools: Pools) -> asyncio.Event:
    ready = asyncio.Event()

    def look() -> None:
        if pools.ready:
            ready.set()

    whenever(pools, look)
    return ready


def _uploads(home: Path, process: int | None = None) -> Path:
    """The folder of a process's running uploads, private, and empty: what a crash left behind is removed."""
    folder = home / "uploads" / ("" if process is None else str(process))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


@asynccontextmanager
async def _counters(settings: Settings) -> AsyncIterator[Counters]:
    """Where rates are counted: in the memory of each process, or in a Valkey for all of them."""
    if settings.valkey:
        from antiphon.admission.valkey import Valkey  # slow to import, and often not needed

        async with Valkey(settings.valkey, Memory(settings.processes)) as counters:
            yield counters
    else:
        yield Memory()
