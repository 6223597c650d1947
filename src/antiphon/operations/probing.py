"""Sends a real chat and a recording through the front door, and counts what came. One of all processes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn

import aiohttp
from sqlalchemy import Connection, delete, insert

from antiphon.access.access import Access
from antiphon.access.api_key import NewKey, Realm
from antiphon.catalogue.catalogue import Catalogue
from antiphon.operations.probes import Found, chat, transcription
from antiphon.settings import Settings
from antiphon.status.counting import Counter
from antiphon.status.outcomes import PROBES, Api, objectives
from antiphon.storage import leases
from antiphon.storage.database import Database
from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import organization, status_probe
from antiphon.values import Task

KEY_SECONDS = 2 * 86_400
"""Life of a key for probes; a new one is made at half of it. None is ever written down."""
FIRST_SECONDS = 5.0
"""After so many, and up to twice as many, comes the first probe."""
BEGIN_SECONDS = 120.0
"""For so long a server may be not ready yet before it is probed all the same."""
LONGEST = 30.0
"""For so long an answer is waited for, at most."""
JITTER = 0.1
"""Of the time between two probes, so that machines do not come to probe together with something else."""
NAME = "status probes"

log = logging.getLogger(__name__)


class Prober:
    """`holder` is this process among all over the database, `catalogue` gives the one of this moment.

    `settings.port` is where this server really listens; `clock` in unix seconds.
    """

    def __init__(
        self,
        database: Database,
        access: Access,
        catalogue: Callable[[], Catalogue],
        counter: Counter,
        settings: Settings,
        holder: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._access = access
        self._catalogue = catalogue
        self._counter = counter
        self._settings = settings
        self._holder = holder
        self._clock = clock
        self._objectives = objectives(settings)
        self._key = ""
        self._renew_at = 0.0

    async def run(self) -> NoReturn:
        """Until cancelled. A complaint is logged once."""
        seconds = self._settings.probe_seconds
        await asyncio.sleep(min(FIRST_SECONDS, seconds) * (1 + random.random()))
        await self._until_ready()
        complaint = ""
        while True:
            began = time.monotonic()
            try:
                await self.probe()
                complaint = ""
            except Exception as problem:  # whatever it is: nobody else probes
                told = str(problem) or type(problem).__name__
                if told != complaint:
                    complaint = told
                    log.warning("no probes are sent: %s", told)
            await asyncio.sleep(_wait(seconds, time.monotonic() - began))

    async def _until_ready(self) -> None:
        """Leave a server that has just started the time for its engines to start; then it has to answer."""
        timeout = aiohttp.ClientTimeout(total=1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_SECONDS), aiohttp.ClientSession(timeout=timeout) as session:
                while True:
                    with suppress(aiohttp.ClientError, TimeoutError):
                        async with session.get(f"{front_door(self._settings)}/readyz") as answer:
                            if answer.status == 200:
                                return
                    await asyncio.sleep(0.5)

    async def probe(self) -> None:
        """Send both, if no other process does."""
        now = int(self._clock())
        lease = partial(leases.take, job="probe", holder=self._holder, now=now, seconds=self._lease())
        models = probed(self._catalogue())
        if not models or not await self._database.run(lease):
            return
        key = await self._ready_key()
        timeout = aiohttp.ClientTimeout(total=min(LONGEST, max(1.0, self._settings.probe_seconds)))
        sent: list[tuple[Api, Found]] = []
        async with aiohttp.ClientSession(
            front_door(self._settings), headers={"authorization": f"Bearer {key}"}, timeout=timeout
        ) as session:
            if "chat" in models:
                sent.append(("chat", await chat(session, models["chat"], self._objectives)))
            if "speech" in models:
                sent.append(("speech", await transcription(session, models["speech"], self._objectives)))
        for api, found in sent:
            self._count(api, found)
        await self._database.run(partial(_note, sent=sent, now=int(self._clock())))

    def _count(self, api: Api, found: Found) -> None:
        if found.refused:
            # It says nothing of the service; where a key is refused, the next probe has another.
            self._renew_at = 0.0
            log.warning("the probe of %s was refused: %s", api, found.reason)
            return
        self._counter.note(api, good=found.good)
        if not found.good:
            log.warning("the probe of %s failed: %s", api, found.reason)

    async def _ready_key(self) -> str:
        """The key of the probes' own project, both made where they are missing."""
        now = self._clock()
        if now >= self._renew_at:
            await self._database.run(partial(_ensure_organization, now=int(now)))
            project = await self._access.projects.ensure(PROBES, NAME, by=None)
            new = NewKey(
                realm=Realm(PROBES, project.id),
                name=NAME,
                scopes=frozenset({"chat", "audio"}),
                expires_in_seconds=KEY_SECONDS,
            )
            _, self._key = await self._access.keys.create(new, by=None)
            self._renew_at = now + KEY_SECONDS / 2
        return self._key

    def _lease(self) -> int:
        return int(2 * (self._settings.probe_seconds + LONGEST))


def front_door(settings: Settings) -> str:
    """The address under which this server's own machine reaches it."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def probed(catalogue: Catalogue) -> dict[Task, str]:
    """The first alias of each task whose engine runs all the time."""
    found: dict[Task, str] = {}
    for alias in sorted(catalogue.aliases):
        meant = catalogue.meaning(alias)
        if meant in catalogue.running & catalogue.installed:
            found.setdefault(catalogue.entries[meant].task, alias)
    return found


def _wait(seconds: float, passed: float) -> float:
    return max(1.0, seconds * (1 + JITTER * (2 * random.random() - 1)) - passed)


def _ensure_organization(connection: Connection, now: int) -> None:
    row = {"id": PROBES, "name": NAME, "created_at": now, "prepaid": False}
    insert_missing(connection, organization, [row])


def _note(connection: Connection, sent: Sequence[tuple[Api, Found]], now: int) -> None:
    for api, found in sent:
        row = {"api": api, "at": now, "good": found.good, "milliseconds": round(found.seconds * 1000)}
        connection.execute(delete(status_probe).where(status_probe.c.api == api))
        connection.execute(insert(status_probe).values(row | {"reason": found.reason}))
