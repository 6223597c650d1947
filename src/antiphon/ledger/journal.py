"""The journal of one epoch: records are durable before anyone is told, and stay until they are posted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

import msgspec

from antiphon.errors import AntiphonError, StorageFull, Unavailable
from antiphon.ledger.disk import Disk, Run
from antiphon.ledger.records import Record, encode
from antiphon.storage.files import NO_SPACE

FILE_BYTES = 4_194_304
"""Size from which a new file is begun."""
MOST = 100_000
"""Records that may wait to be posted; beyond them there is no room for new reservations."""
DURABLE_SECONDS = 5.0
"""Longest wait for a record to be durable."""
HANGING_SECONDS = 2.0
"""A write that takes longer says that the disk hangs: new reservations would wait behind it."""
LEAVE_SECONDS = 5.0
"""Longest wait for the disk to let a journal go."""

_log = logging.getLogger(__name__)


_Added = tuple[Record, asyncio.Future[Record]]


class Journal:
    """One writer task commits in groups: whatever is queued is written together and synced once.

    After an error that leaves the disk in doubt (anything but a lack of space) the journal has `failed`: it
    takes nothing more, since nobody knows what the disk kept. Nor does it once it is closed.
    """

    def __init__(
        self,
        disk: Disk,
        run: Run,
        folder: str,
        *,
        file_bytes: int = FILE_BYTES,
        most: int = MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` is created already. `run` runs what blocks."""
        self._disk, self._run, self._folder = disk, run, folder
        self._file_bytes, self._most, self._monotonic = file_bytes, most, monotonic
        self._queue: list[_Added] = []
        self._queued, self._durable = asyncio.Event(), asyncio.Event()
        self._adding = 0
        """Records that are queued or being written."""
        self._began: float | None = None
        """Since when the disk has been writing; None while it is not."""
        self._unposted: deque[Record] = deque()
        self._last = 0
        self._file, self._size = 1, 0
        self._ends: dict[int, int] = {}
        """The last record of each file that is still there and has one."""
        self.failed = False

    @property
    def room(self) -> bool:
        """Whether a new reservation may be added. The ends of those that are there always may."""
        return self._adding + len(self._unposted) < self._most

    @property
    def hanging(self) -> bool:
        """Whether the disk takes so long that whoever adds a record now is likely to wait in vain."""
        return self._began is not None and self._monotonic() - self._began > HANGING_SECONDS

    @property
    def idle(self) -> bool:
        """Whether everything that was added is posted (or was refused)."""
        return not self._adding and not self._unposted

    @property
    def waiting(self) -> bool:
        """Whether there is something to post."""
        return bool(self._unposted)

    @property
    def left(self) -> int:
        """How many records are to be posted."""
        return len(self._unposted)

    def add(self, record: Record) -> asyncio.Future[Record]:
        """Queue `record`; the result, once it is durable, is the record with its number.

        The future fails with `StorageFull` or `Unavailable` if the record was not kept. Await it through
        `durable`: whoever stops waiting does not take the record back.
        """
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        if self.failed:
            _fail(future, _broken())
        else:
            self._adding += 1
            self._queue.append((record, future))
            self._queued.set()
        return future

    async def write(self) -> None:
        """The writer task: runs until it is cancelled."""
        while True:
            await self._queued.wait()
            self._queued.clear()
            # Not to be interrupted midway: what was written must be known.
            await asyncio.shield(asyncio.ensure_future(self._commit()))

    async def some(self) -> None:
        """Wait until there is something to post."""
        await self._durable.wait()

    def unposted(self, most: int) -> list[Record]:
        """The oldest durable records that are not posted yet, at most so many."""
        return list(islice(self._unposted, most))

    def forget(self, seq: int) -> list[Record]:
        """Records up to number `seq` are in the database: those that were still kept, which are no more."""
        gone = []
        while self._unposted and self._unposted[0].seq <= seq:
            gone.append(self._unposted.popleft())
        if not self._unposted:
            self._durable.clear()
        return gone

    async def tidy(self) -> None:
        """Remove the files whose records are all forgotten, but the one that is being written."""
        first = self._unposted[0].seq if self._unposted else self._last + 1
        for file in [file for file, last in self._ends.items() if file < self._file and last < first]:
            await self._run(partial(self._disk.remove, self._folder, _name(file)))
            del self._ends[file]

    def close(self) -> None:
        """Take nothing more; what is still queued is refused."""
        self.failed = True
        batch, self._queue = self._queue, []
        self._refuse(batch, _broken())

    async def drop(self) -> None:
        """Remove the journal from the disk: everything in it is posted. Raises as `leave` does."""
        async with asyncio.timeout(LEAVE_SECONDS):
            await self._run(partial(self._disk.drop, self._folder))

    async def leave(self) -> None:
        """Keep the journal on the disk, for whoever comes next to move what is left.

        Raises `OSError`, or `TimeoutError` if the disk hangs: then it is held until this process ends.
        """
        async with asyncio.timeout(LEAVE_SECONDS):
            await self._run(partial(self._disk.release, self._folder))

    async def _commit(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            records = [
                msgspec.structs.replace(record, seq=self._last + index)
                for index, (record, _) in enumerate(batch, 1)
            ]
            try:
                if self.failed:
                    raise _broken()
                self._began = self._monotonic()
                await self._run(partial(self._store, records))
            except AntiphonError as problem:
                self._refuse(batch, problem)
            except Exception as problem:
                self.failed = True
                _log.critical("the journal cannot be trusted any more, restart: %s", problem)
                self._refuse(batch, _broken())
            else:
                self._keep(batch, records)
            finally:
                self._began = None

    def _keep(self, batch: Sequence[_Added], records: Sequence[Record]) -> None:
        self._adding -= len(batch)
        self._last = self._ends[self._file] = records[-1].seq
        self._unposted.extend(records)
        self._durable.set()
        for record, (_, future) in zip(records, batch, strict=True):
            future.set_result(record)

    def _refuse(self, batch: Sequence[_Added], problem: AntiphonError) -> None:
        self._adding -= len(batch)
        for _, future in batch:
            _fail(future, problem)

    def _store(self, records: Sequence[Record]) -> None:
        """Write and sync; runs where blocking is allowed. Raises `StorageFull`, or what leaves doubt."""
        if self._size >= self._file_bytes:
            self._file, self._size = self._file + 1, 0
        data = b"".join(map(encode, records))
        name = _name(self._file)
        try:
            self._append(name, data)
            self._disk.sync(self._folder, name)
        except OSError:
            # Nobody was told that these records count: if possible, the next start does not find them.
            with suppress(OSError):
                self._disk.truncate(self._folder, name, self._size)
            raise
        self._size += len(data)

    def _append(self, name: str, data: bytes) -> None:
        try:
            self._disk.append(self._folder, name, data)
        except OSError as problem:
            if problem.errno not in NO_SPACE:
                raise
            self._disk.truncate(self._folder, name, self._size)
            _log.error("there is no space left for the journal")
            raise StorageFull("There is no space left to record this request.") from problem


async def durable(added: asyncio.Future[Record]) -> None:
    """Wait for an added record, which stays what it is if this is given up.

    Raises as the record does, and `Unavailable` if the disk takes too long to say what it kept.
    """
    # What `timeout` and `shield` do, for a third: every request waits here twice.
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    late = loop.call_later(DURABLE_SECONDS, _end, over)
    added.add_done_callback(partial(_end, over))
    try:
        await over
    finally:
        late.cancel()
    if not added.done():
        raise _broken()
    added.result()


def _end(over: asyncio.Future[None], _: object = None) -> None:
    if not over.done():
        over.set_result(None)


def _name(number: int) -> str:
    return f"{number:08}"


def _broken() -> Unavailable:
    return Unavailable("Requests cannot be recorded at the moment.")


def _fail(future: asyncio.Future[Record], problem: AntiphonError) -> None:
    future.set_exception(problem)
    # Looked at, so that it is no bug if nobody waits any more: those who added the record hear of it.
    future.exception()
