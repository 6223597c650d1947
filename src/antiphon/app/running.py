"""The composition root: every service is built here, once, started and stopped in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from antiphon.access.access import Access, Firsts, opened
from antiphon.access.oidc import Provider, provider_of
from antiphon.access.pepper import connected
from antiphon.admission.counters import Counters
from antiphon.admission.gate import Gate
from antiphon.admission.memory import Memory
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.api.admin.table import Moderation, rows
from antiphon.api.edge import Edge
from antiphon.app.data import Data, kept, opened_content
from antiphon.app.edge import Around, build_edge
from antiphon.app.engines import attach, attached, keep_scaled, new_runtime, own, whenever
from antiphon.app.moderation import Moderated, moderating
from antiphon.app.status import counting, keep, last_counts, served
from antiphon.app.traces import Trace, tracing
from antiphon.app.work import beside, flush, flush_often, once, time_kept
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.live import LiveCatalogue
from antiphon.console import console
from antiphon.console.jobs import FOLDER, Jobs, background
from antiphon.console.services import Services
from antiphon.ledger import ledger as accounts
from antiphon.operations import used_settings
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.incidents import Incidents
from antiphon.pools import reports
from antiphon.pools.pools import Pools
from antiphon.pools.reports import Gateways, Told
from antiphon.privacy.consent import Consents
from antiphon.privacy.expiring import shorten
from antiphon.privacy.policies import Policies
from antiphon.settings import Settings
from antiphon.status.counting import Counter
from antiphon.storage.database import Database
from antiphon.storage.folders import clean, own_folder
from antiphon.storage.migrations import upgrade

_STOP_SECONDS = 5.0


class Antiphon(msgspec.Struct, frozen=True):
    """The running service. `firsts` are the secrets that the first start shows."""

    edge: Edge
    firsts: Firsts
    ready: asyncio.Event
    """Set once every engine has been ready for the first time."""
    pools: Pools
    waiting: Callable[[], Mapping[str, int]]
    """Requests that wait for an engine, by the names of deployments."""


class Engines(msgspec.Struct, frozen=True):
    """The engines of several gateway processes, and what is told between them and these."""

    firsts: Firsts
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
    async with _grounded(settings, first=told is None) as ground, AsyncExitStack() as stack:
        database, prompt, access = ground.database, ground.prompt, ground.access
        trace = await stack.enter_async_context(tracing(settings))  # what is there is sent last of all
        runtime = new_runtime(settings)
        stack.push_async_callback(runtime.close)
        pools = (
            attached(settings, told, process)
            if told
            else own(settings, runtime, Gateways(), lambda id: catalogue.entry(id))
        )
        catalogue = LiveCatalogue(settings, Changes(prompt), pools.follow, pools.serves, pools.broken)
        uploads = stack.enter_context(await asyncio.to_thread(own_folder, home / "uploads"))
        ledger = await stack.enter_async_context(accounts.running(prompt, home, keys=database))
        counters = await stack.enter_async_context(_counters(settings))
        data = await stack.enter_async_context(kept(settings, database))
        gate = Gate(settings, limits=RateLimits(prompt, settings).of, counters=counters)
        dedicated = Dedicated(database, lambda: catalogue.catalogue, settings, time.time)
        moderation = await stack.enter_async_context(moderating(settings, database, gate, data.evidence))
        jobs = await stack.enter_async_context(background(home / FOLDER))
        services = _services(settings, ground, catalogue, dedicated, moderation.services, data, jobs)
        counter = counting(settings)
        around = _around(settings, services, data, moderation, counter, trace)
        admin = rows(services)
        keys = access.authenticator
        edge = build_edge(settings, catalogue, pools, keys, ledger, uploads, process, admin, gate, around)
        ready = _first_readiness(pools)
        whenever(pools, catalogue.take)
        await catalogue.start()
        if told is not None:
            await attach(told, pools)
        work = {"catalogue": catalogue.run(), "keys": flush_often(keys), "late": data.late.run()}
        work |= {"counts": keep(counter, database), **moderation.work()}
        if told is None:
            # In several processes that is for the one that runs the engines to do.
            work["scale"] = keep_scaled(pools, lambda key: 0, lambda name: gate.waiting().get(name, 0))
            work["time"] = time_kept(settings, database, runtime, dedicated, pools)
            work |= await once(settings, database, access, data.content, lambda: catalogue.catalogue, counter)
        try:
            async with beside(work):
                yield Antiphon(edge, ground.firsts, ready, pools, gate.waiting)
        finally:
            await pools.stop(_STOP_SECONDS)
            await flush(keys)
            await last_counts(counter, database)


@asynccontextmanager
async def supervising(settings: Settings) -> AsyncIterator[Engines]:
    """What several gateway processes share, for as long as the block runs: engines, and the first start."""
    home = settings.home_path
    async with _grounded(settings, first=True) as ground, AsyncExitStack() as stack:
        database, access = ground.database, ground.access
        content = await stack.enter_async_context(opened_content(settings, database))
        await asyncio.to_thread(clean, home / "uploads")
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
        counter = counting(settings)
        work |= await once(settings, database, access, content, lambda: catalogue.catalogue, counter)
        try:
            async with beside(work):
                yield Engines(ground.firsts, gateways)
        finally:
            await pools.stop(_STOP_SECONDS)
            await runtime.close()


class _Ground(msgspec.Struct, frozen=True):
    """What everything else stands on: the database, upgraded, and who there is."""

    database: Database
    prompt: Database
    """Connections that no page of the administration can occupy: for what every request waits for."""
    access: Access
    firsts: Firsts
    provider: Provider | None


@asynccontextmanager
async def _grounded(settings: Settings, *, first: bool) -> AsyncIterator[_Ground]:
    """`first`: this process is the one of its server that runs engines, and notes its settings."""
    async with await connected(settings.database_url, settings.home_path) as database:
        await upgrade(database)
        async with database.apart() as prompt:
            access = await opened(database, settings.home_path, prompt, settings.session_hours)
            firsts = await access.ensure_default()
            if first:
                await used_settings.record(database, settings, time.time())
            yield _Ground(database, prompt, access, firsts, await asyncio.to_thread(provider_of, settings))


def _services(
    settings: Settings,
    ground: _Ground,
    catalogue: LiveCatalogue,
    dedicated: Dedicated,
    moderation: Moderation,
    data: Data,
    jobs: Jobs,
) -> Services:
    database = ground.database
    incidents = Incidents(database, settings.uptime_objective, time.time)
    return Services(
        access=ground.access,
        rate_limits=RateLimits(database, settings),
        spend_limits=SpendLimits(database),
        snapshots=lambda: catalogue.catalogue.served,
        dedicated=dedicated,
        policies=Policies(database, time.time, shorten),
        consents=Consents(database, time.time),
        incidents=incidents,
        moderation=moderation,
        database=database,
        clock=time.time,
        settings=settings,
        catalogue=lambda: catalogue.catalogue,
        listing=catalogue.listing,
        status=incidents.status,
        provider=ground.provider,
        evidence=data.evidence,
        changes=Changes(database),
        jobs=jobs,
        content=data.content,
    )


def _around(
    settings: Settings,
    services: Services,
    data: Data,
    moderation: Moderated,
    counter: Counter,
    trace: Trace | None,
) -> Around:
    """What watches requests, and what is served besides."""
    return Around(
        observers=[data.keeper, *moderation.observers],
        stored=data.stored,
        figures=[data.figures, moderation.figures],
        status=served(settings, services.incidents),
        counter=counter,
        trace=trace,
        pages=console.rows(services),
        proof=services.access.sessions.proof,
    )


def _first_readiness(pools: Pools) -> asyncio.Event:
    ready = asyncio.Event()

    def look() -> None:
        if pools.ready:
            ready.set()

    whenever(pools, look)
    return ready


@asynccontextmanager
async def _counters(settings: Settings) -> AsyncIterator[Counters]:
    """Where rates are counted: in the memory of each process, or in a Valkey for all of them."""
    if settings.valkey:
        from antiphon.admission.valkey import Valkey  # slow to import, and often not needed

        async with Valkey(settings.valkey, Memory(settings.processes)) as counters:
            yield counters
    else:
        yield Memory()
