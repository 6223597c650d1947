"""The ledger of this process: lives one epoch after another, and looks after those who died."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self
from uuid import uuid4

from sqlalchemy import Connection

from antiphon.errors import StorageFull, Unavailable
from antiphon.ledger import epochs
from antiphon.ledger.disk import Disk, RealDisk, Run, WriterThread
from antiphon.ledger.idempotency import IdempotencyKeys
from antiphon.ledger.journal import Journal
from antiphon.ledger.life import FINISH_SECONDS, Life, repeat
from antiphon.ledger.meter import Meter
from antiphon.ledger.recovery import recover
from antiphon.ledger.store import DatabaseStore, Store
from antiphon.ledger.watch import Watch
from antiphon.storage.database import Database
from antiphon.storage.files import NO_SPACE

BEAT_SECONDS = 2.0
"""Between two beats of an epoch."""
ANSWER_SECONDS = 1.0
"""Longest wait for a beat to be answered; after that no new request is taken until one is."""

_log = logging.getLogger(__name__)


class Ledger:
    """Use it as `async with ledger:`; meanwhile `ledger.meter` opens bills, and `idempotency_keys` are taken.

    Entering moves the journals of dead processes and raises `Unavailable` or `StorageFull` if the database
    cannot be used. Leaving waits for open bills, moves all that is left, and closes the epoch.

    `clock` gives the times that are billed, in seconds since 1970; whatever is decided by time goes by
    `monotonic`. `run` runs what blocks on `disk`.
    """

    def __init__(
        self,
        store: Store,
        disk: Disk,
        run: Run,
        *,
        host: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._disk, self._run, self._host = store, disk, run, host
        self._clock, self._monotonic = clock, monotonic
        self._life: Life | None = None
        self._former: set[asyncio.Task[None]] = set()
        """Lives that a peer gave up, and whose bills have not all ended."""
        self._watch = Watch()
        self._away = False
        self._answered = monotonic()
        """When the last beat was answered."""
        self._tasks: list[asyncio.Task[None]] = []
        self.meter = Meter(self._current, clock)
        self.idempotency_keys = IdempotencyKeys(store, lambda: self._current().id, clock)

    async def __aenter__(self) -> Self:
        await self._recover()
        await self._begin()
        self._tasks = [
            asyncio.create_task(repeat(self._beat, BEAT_SECONDS)),
            asyncio.create_task(repeat(self._recover, BEAT_SECONDS)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await _cancel(self._tasks)
        life, self._life = self._life, None
        if life:
            await life.finish()
        if self._former:
            await asyncio.wait(self._former, timeout=FINISH_SECONDS)
            await _cancel(self._former)

    def _current(self) -> Life:
        """The life that takes new requests."""
        # A process that was stopped for a while may have been given up: its next beat tells.
        late = self._monotonic() - self._answered > BEAT_SECONDS + ANSWER_SECONDS
        life = self._life
        if life is None or late or self._away or life.journal.failed or not life.journal.room:
            raise _refused()
        return life

    async def _begin(self) -> None:
        epoch_id = f"epoch_{uuid4().hex}"
        # The row comes first: a journal always belongs to an epoch that the database knows.
        await self._store.run(epochs.open_epoch, epoch_id, self._host, int(self._clock()))
        try:
            await self._run(partial(self._disk.create, epoch_id))
        except OSError as problem:
            _log.error("the journal cannot be begun: %s", problem)
            full = problem.errno in NO_SPACE
            raise StorageFull("There is no space left for the journal.") if full else _refused() from problem
        journal = Journal(self._disk, self._run, epoch_id)
        self._life = Life(self._store, epoch_id, journal, self._clock, self._monotonic)
        self._life.start()
        self._answered = self._monotonic()

    async def _beat(self) -> None:
        if self._life is None:
            await self._begin()
        assert self._life is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                is_open, beats = await self._store.run(_beat, self._life.id)
        except BaseException:
            self._away = True
            self._watch.miss()
            raise
        self._away, self._answered = False, self._monotonic()
        if not is_open:
            await self._give_up()
        for epoch_id, beat in self._watch.see(beats, self._monotonic()).items():
            voided = await self._store.run(epochs.close, epoch_id, beat, int(self._clock()))
            _log.warning("%s is silent and was closed: %d requests voided", epoch_id, voided)

    async def _give_up(self) -> None:
        """Another process took this one for dead: its bills end as losses, new requests get a new epoch."""
        assert self._life is not None
        _log.error("%s was closed by another process", self._life.id)
        former = asyncio.create_task(self._life.finish(None))
        self._life = None
        self._former.add(former)
        former.add_done_callback(self._former.discard)
        await self._begin()

    async def _recover(self) -> None:
        await recover(self._store, self._disk, self._run, self._clock)


def _refused() -> Unavailable:
    return Unavailable("Requests cannot be recorded at the moment.", retry_after=1)


def _beat(connection: Connection, epoch_id: str) -> tuple[bool, dict[str, int]]:
    is_open, beats = epochs.beat(connection, epoch_id), epochs.others(connection)
    return is_open, {name: beat for name, beat in beats.items() if name != epoch_id}


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running(database: Database, home: Path) -> AsyncIterator[Ledger]:
    """The ledger over `database`, its journals in the data folder `home`, for as long as the block runs."""
    writer = WriterThread()
    try:
        disk = RealDisk(home / "journal")
        async with Ledger(DatabaseStore(database), disk, writer, host=socket.gethostname()) as ledger:
            yield ledger
    finally:
        writer.close()
