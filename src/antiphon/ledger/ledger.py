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

from antiphon.errors import AntiphonError, StorageFull, Unavailable
from antiphon.ledger import epochs
from antiphon.ledger.disk import Disk, RealDisk, Run, WriterThread
from antiphon.ledger.idempotency import PURGE_SECONDS, IdempotencyKeys
from antiphon.ledger.journal import Journal
from antiphon.ledger.life import FINISH_SECONDS, Life, repeat
from antiphon.ledger.meter import Meter
from antiphon.ledger.recovery import recover
from antiphon.ledger.store import DatabaseStore, Store
from antiphon.ledger.watch import Watch
from antiphon.storage.database import Database
from antiphon.storage.files import NO_SPACE

BEAT_SECONDS = 1.0
"""Between two beats of an epoch."""
ANSWER_SECONDS = 1.5
"""Longest wait for a beat to be answered; after that no new request is taken until one is."""
CARE_SECONDS = 2.0
"""Between two looks for processes that have died."""

_log = logging.getLogger(__name__)


class Ledger:
    """Use it as `async with ledger:`; meanwhile `ledger.meter` opens bills, and `idempotency_keys` are taken.

    Entering moves the journals of dead processes and raises `Unavailable` or `StorageFull` if the database
    cannot be used. Leaving waits for open bills, moves all that is left, and closes the epoch.

    `clock` gives the times that are billed, in seconds since 1970; whatever is decided by time goes by
    `monotonic`. `run` runs what blocks on `disk`. `beats` takes the beats and `keys` keeps the idempotency
    keys, if not `store`.
    """

    def __init__(
        self,
        store: Store,
        disk: Disk,
        run: Run,
        *,
        host: str,
        beats: Store | None = None,
        keys: Store | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._disk, self._run, self._host = store, disk, run, host
        self._beats = beats or store
        self._clock, self._monotonic = clock, monotonic
        self._life: Life | None = None
        self._former: set[asyncio.Task[None]] = set()
        """Lives that are over, and not all in the database yet."""
        self._watch = Watch()
        self._silent: dict[str, int] = {}
        """Epochs of peers that are to be closed, with the beat at which they stand still."""
        self._away = self._broken = False
        self._answered = monotonic()
        """When the last beat was answered."""
        self._tasks: list[asyncio.Task[None]] = []
        self.meter = Meter(self._current, clock)
        self.idempotency_keys = IdempotencyKeys(keys or store, lambda: self._current().id, clock)

    @property
    def ready(self) -> bool:
        """Whether new requests are taken. After a failure of the disk none are, until a new start."""
        # A process that was stopped for a while may have been given up: its next beat tells.
        late = self._monotonic() - self._answered > BEAT_SECONDS + ANSWER_SECONDS
        if self._life is None or late or self._away:
            return False
        journal = self._life.journal
        return journal.room and not journal.failed and not journal.hanging

    @property
    def unposted(self) -> int:
        """Records that are durable, and not in the database yet."""
        return 0 if self._life is None else self._life.journal.left

    async def __aenter__(self) -> Self:
        await self._recover()
        await self._begin()
        self._tasks = [
            asyncio.create_task(repeat(self._beat, BEAT_SECONDS)),
            asyncio.create_task(repeat(self._close_silent, CARE_SECONDS)),
            asyncio.create_task(repeat(self._recover, CARE_SECONDS)),
            asyncio.create_task(repeat(self.idempotency_keys.purge, PURGE_SECONDS)),
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
        if self._life is None or not self.ready:
            raise _refused()
        return self._life

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
        journal = Journal(self._disk, self._run, epoch_id, monotonic=self._monotonic)
        self._life = Life(self._store, epoch_id, journal, self._clock, self._monotonic)
        self._life.start()
        self._answered = self._monotonic()

    async def _beat(self) -> None:
        if self._broken:
            return
        if self._life is None:
            await self._begin()
        life = self._life
        assert life is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                is_open, beats = await self._beats.run(_beat, life.id)
        except BaseException:
            self._away, self._silent = True, {}
            self._watch.miss()
            raise
        self._away, self._answered = False, self._monotonic()
        self._silent = self._watch.see(beats, self._monotonic())
        if not is_open:
            # This one was taken for dead: its bills end as losses, new requests get a new epoch.
            _log.error("%s was closed by another process", life.id)
            self._give_up(life)
        elif life.journal.failed and life.journal.idle:
            # As long as there is something to post the epoch has to live; what is open then can never end.
            _log.error("%s is closed: its journal failed", life.id)
            self._give_up(life)
        if self._life is None and not self._broken:
            await self._begin()

    def _give_up(self, life: Life) -> None:
        self._life, self._broken = None, life.journal.failed
        former = asyncio.create_task(life.finish(None))
        self._former.add(former)
        former.add_done_callback(self._former.discard)

    async def _close_silent(self) -> None:
        """Apart from the beats, which must not wait for it."""
        for epoch_id, beat in list(self._silent.items()):
            try:
                voided = await self._store.run(epochs.close, epoch_id, beat, int(self._clock()))
            except AntiphonError as problem:
                _log.warning("%s is silent and could not be closed: %s", epoch_id, problem)
            else:
                self._silent.pop(epoch_id, None)
                _log.warning("%s is silent and was closed: %d requests voided", epoch_id, voided)

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
async def running(database: Database, home: Path, *, keys: Database | None = None) -> AsyncIterator[Ledger]:
    """The ledger over `database`, its journals in the data folder `home`, for as long as the block runs.

    The idempotency keys are kept through `keys`, if given: what callers do with them then delays no posting.
    Beats go a way of their own, where nothing that is queued for `database` is ahead of them.
    """
    store = DatabaseStore(database)
    key_store = DatabaseStore(keys) if keys else store
    writer = WriterThread()
    try:
        async with database.apart() as apart:
            beats, disk = DatabaseStore(apart), RealDisk(home / "journal")
            host = socket.gethostname()
            async with Ledger(store, disk, writer, host=host, beats=beats, keys=key_store) as ledger:
                yield ledger
    finally:
        writer.close()
