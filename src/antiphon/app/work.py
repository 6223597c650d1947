"""What goes on beside requests, for as long as the service runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from antiphon.access.access import Access
from antiphon.access.authenticator import Authenticator
from antiphon.app.data import purging
from antiphon.app.moderation import telling_of_flags
from antiphon.app.status import watching
from antiphon.catalogue.catalogue import Catalogue
from antiphon.errors import AntiphonError
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.telling import Teller
from antiphon.operations.timekeeping import Timekeeper
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.pools.pools import Pools
from antiphon.privacy.content import Content
from antiphon.runtime import isolation
from antiphon.runtime.base import Runtime
from antiphon.settings import Settings
from antiphon.status.counting import Counter
from antiphon.storage.database import Database

_FLUSH_SECONDS = 60.0
_STOP_SECONDS = 5.0

_log = logging.getLogger("antiphon")


def time_kept(
    settings: Settings, database: Database, runtime: Runtime, dedicated: Dedicated, pools: Pools
) -> Coroutine[Any, Any, None]:
    """What keeps time for dedicated instances."""
    ready = pools.ready_instances
    return Timekeeper(database, runtime, dedicated, ready, time.time, server=settings.server).run()


async def telling(
    settings: Settings, database: Database, catalogue: Callable[[], Catalogue]
) -> dict[str, Coroutine[Any, Any, None]]:
    """What tells the operator's webhook, if there is one, and what watches how keys are used."""
    work = await telling_of_flags(settings, database)
    if not settings.webhook:
        return work
    webhook = Webhook(settings.webhook, await asyncio.to_thread(load_secret, settings.home_path))
    days, name = settings.webhook_days, settings.server
    return work | {"webhook": Teller(database, catalogue, webhook, days, name, time.time).run()}


async def once(
    settings: Settings,
    database: Database,
    access: Access,
    content: Content,
    catalogue: Callable[[], Catalogue],
    counter: Counter,
) -> dict[str, Coroutine[Any, Any, None]]:
    """What one process of a machine does for all of them: it tells the webhook, deletes what has expired,
    probes the service and looks after its uptime."""
    return {
        "isolation": tell_of_isolation(settings),
        **await telling(settings, database, catalogue),
        **await purging(settings, database, content),
        **await watching(settings, database, access, catalogue, counter),
    }


async def tell_of_isolation(settings: Settings) -> None:
    """Say once what engines here are not cut off from, and why."""
    exposed = await asyncio.to_thread(isolation.exposed, settings.home_path)
    if missing := exposed or await asyncio.to_thread(isolation.lacking):
        _log.warning("engines are %s (docs/security.md)", missing)


@asynccontextmanager
async def beside(work: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
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


def _tell_of_end(task: asyncio.Task[None]) -> None:
    """What was to go on for ever has ended: nobody awaits it, who could tell why."""
    if not task.cancelled() and (problem := task.exception()):
        _log.error("%s has ended", task.get_name(), exc_info=problem)


async def flush_often(keys: Authenticator) -> None:
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        await flush(keys)


async def flush(keys: Authenticator) -> None:
    """Write when each key was last used."""
    try:
        await keys.flush_used()
    except AntiphonError as problem:
        _log.warning("the last use of keys could not be written: %s", problem)
