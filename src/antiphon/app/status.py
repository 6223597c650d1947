"""What counts requests, watches how they are answered, and shows it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.access.access import Access
from antiphon.api.status_page import StatusPage
from antiphon.catalogue.catalogue import Catalogue
from antiphon.errors import AntiphonError
from antiphon.operations.incident_telling import IncidentTeller
from antiphon.operations.incidents import Incidents
from antiphon.operations.probing import Prober
from antiphon.operations.watching import Watcher
from antiphon.operations.webhook import Webhook, load_secret
from antiphon.settings import Settings
from antiphon.status import counting as counts
from antiphon.status.counting import Counter
from antiphon.status.outcomes import objectives
from antiphon.storage.database import Database

_log = logging.getLogger("antiphon")


def counting(settings: Settings) -> Counter:
    return Counter(objectives(settings), time.time)


def served(settings: Settings, incidents: Incidents) -> StatusPage:
    return StatusPage(incidents.status, settings.public_status)


def keep(counter: Counter, database: Database) -> Coroutine[Any, Any, None]:
    """What writes the counts of a process that answers requests."""
    return counts.keep(counter, database, serves=True)


async def last_counts(counter: Counter, database: Database) -> None:
    """Write what was counted since."""
    try:
        await counts.flush(counter, database)
    except AntiphonError as problem:
        _log.warning("the last counts of requests could not be written: %s", problem)


async def watching(
    settings: Settings,
    database: Database,
    access: Access,
    catalogue: Callable[[], Catalogue],
    counter: Counter,
) -> dict[str, Coroutine[Any, Any, None]]:
    """What one of all processes does: counts what `counter` holds besides, which probes come to."""
    holder = f"{settings.server}:{os.getpid()}:{secrets.token_hex(4)}"
    work: dict[str, Coroutine[Any, Any, None]] = {}
    work["watch"] = Watcher(database, counter, settings.uptime_objective, holder, time.time).run()
    if settings.probe_seconds:
        work["probe"] = Prober(database, access, catalogue, counter, settings, holder).run()
    if settings.webhook:
        webhook = Webhook(settings.webhook, await asyncio.to_thread(load_secret, settings.home_path))
        work["incidents"] = IncidentTeller(database, webhook, time.time).run()
    return work
