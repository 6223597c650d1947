"""Keeps what its policy allows to be kept of each request: off its path, in batches, within bounds.

It is told of a request that is over, notes it in a queue, and makes a link to the recording, if there is one.
What finds the queue full is not kept, and counted. A batch is one transaction, since whoever bills writes to
the same file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from antiphon.errors import AntiphonError
from antiphon.privacy.content import Content, Item
from antiphon.privacy.days import SECONDS, day_of
from antiphon.privacy.keys import KeyMissing
from antiphon.storage.ids import following, ordered_id
from antiphon.values import Caller, Observation

STORED_DAYS = 30
"""For so long a stored completion is kept where nothing else is."""
MOST = 2000
MOST_BYTES = 32 * 1024 * 1024
"""What may wait, in requests and in bytes of memory."""
MOST_RECORDED = 256 * 1024 * 1024
"""And in bytes of recordings, on the disk."""
BATCH = 256
BATCH_BYTES = 8 * 1024 * 1024
LINGER_SECONDS = 1.0
"""Until when others may join a batch, unless somebody waits for it."""
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Between the tries of a batch; after the last it is given up."""
FLUSH_SECONDS = 5.0
"""Longest wait at the end for all that waits."""
_TELL_SECONDS = 60.0
"""Between two lines about what was not kept."""

log = logging.getLogger(__name__)


class _Asked(msgspec.Struct, frozen=True):
    """What a request says of being kept; `metadata` is that of a stored completion."""

    store: bool | None = None
    metadata: dict[str, str] | None = None


class _Answered(msgspec.Struct, frozen=True):
    id: str | None = None


class _Waiting(msgspec.Struct, frozen=True):
    item: Item
    size: int
    recorded: int
    durable: asyncio.Future[None] | None


class Keeper:
    """An observer of requests. `clock` gives unix seconds."""

    def __init__(self, content: Content, clock: Callable[[], float] = time.time) -> None:
        self._content = content
        self._clock = clock
        self._queue: deque[_Waiting] = deque()
        self._size = self._recorded = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        """Whether somebody waits for what is in the queue."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._told = 0.0
        self._last: str | None = None
        self.dropped: Counter[str] = Counter({"full": 0, "failed": 0})
        """Requests that should have been kept and were not, by why."""

    def wants(self, caller: Caller) -> bool:
        return caller.policy.days > 0 or caller.policy.stores

    def observe(self, seen: Observation) -> asyncio.Future[None] | None:
        """Note it. What to wait for before the end of a completion that is to be stored is told."""
        policy = seen.caller.policy
        asked = _asked(seen) if policy.stores else _NOT_STORED
        if policy.days <= 0 and not asked.store:
            return None
        size = len(seen.asked) + len(seen.answered)
        recorded = _length(seen.recording)
        full = len(self._queue) >= MOST or self._size + size > MOST_BYTES
        if full or self._recorded + recorded > MOST_RECORDED:
            self._drop("full")
            return None
        try:
            recording = _linked(seen)
        except OSError as problem:
            self._drop("failed", f"a recording could not be linked ({problem.strerror})")
            return None
        durable = asyncio.get_running_loop().create_future() if asked.store else None
        # Lists go by these: what ended later comes later, though the clock was set back.
        id = self._last = following(ordered_id("cont_", self._clock()), self._last)
        item = _item(seen, asked, recording, id)
        self._queue.append(_Waiting(item, size, recorded, durable))
        self._size += size
        self._recorded += recorded
        self._idle.clear()
        self._wake.set()
        if durable is not None or recording is not None:
            self._hurry.set()  # an upload is not encrypted yet
        return durable

    @property
    def waiting(self) -> int:
        """Requests that are not written yet."""
        return len(self._queue)

    async def run(self) -> None:
        """Write what is noted, until cancelled."""
        while True:
            await self._wake.wait()
            await _either(self._hurry, LINGER_SECONDS)
            while self._queue:
                await self._write(self._next())
            self._wake.clear()
            self._hurry.clear()
            self._idle.set()
            self._content.keys.forget(before=day_of(self._clock()))

    async def flush(self) -> None:
        """Wait until nothing waits any more, for a few seconds at most; what is left then is not kept."""
        self._hurry.set()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            left = list(self._queue)
            self._done(left)
            self._drop("failed", "there was no time left to write it", len(left))

    def _next(self) -> list[_Waiting]:
        """The next batch; it stays in the queue, and counts, until it is done with."""
        batch: list[_Waiting] = []
        size = 0
        for one in self._queue:
            if batch and (len(batch) == BATCH or size + one.size > BATCH_BYTES):
                break
            batch.append(one)
            size += one.size
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        items = [one.item for one in batch]
        failure = await self._kept(items, RETRY_SECONDS)
        if failure and len(items) > 1:
            # What is wrong with one of them is not the others' business.
            for one in items:
                if failure := await self._kept([one], RETRY_SECONDS[:1]):
                    self._drop("failed", failure)
        elif failure:
            self._drop("failed", failure)
        self._done(batch)

    async def _kept(self, items: Sequence[Item], waits: Sequence[float]) -> str:
        """Why they could not be kept, however often it was tried, or nothing."""
        failure = ""
        for wait in (*waits, 0.0):
            try:
                await self._content.keep(items)
                return ""
            except (AntiphonError, OSError) as problem:
                failure = str(problem)
            except KeyMissing as problem:
                return str(problem)
            except Exception as problem:  # whatever it is: the next batch is kept; its text may show values
                return type(problem).__name__
            await asyncio.sleep(wait)
        return failure

    def _done(self, batch: Sequence[_Waiting]) -> None:
        for one in batch:
            if self._queue and self._queue[0] is one:
                self._queue.popleft()
                self._size -= one.size
                self._recorded -= one.recorded
            if one.item.recording is not None:
                one.item.recording.unlink(missing_ok=True)
            if one.durable is not None and not one.durable.done():
                one.durable.set_result(None)

    def _drop(self, why: str, told: str = "too much waits to be written", number: int = 1) -> None:
        if not number:
            return
        self.dropped[why] += number
        if time.monotonic() - self._told > _TELL_SECONDS or not self._told:
            self._told = time.monotonic()
            log.error("the content of %d requests is not kept: %s", number, told)


@asynccontextmanager
async def keeping(content: Content, clock: Callable[[], float] = time.time) -> AsyncIterator[Keeper]:
    """A keeper at work for as long as the block runs; at the end it writes what waits."""
    keeper = Keeper(content, clock)
    task = asyncio.create_task(keeper.run(), name="keeper")
    try:
        yield keeper
    finally:
        await keeper.flush()
        task.cancel()
        await asyncio.wait([task])


_NOT_STORED = _Asked()


def _asked(seen: Observation) -> _Asked:
    """What is to be stored of a chat completion, if it is to be, and came to its end. Most requests do not
    speak of it, and are not looked at closely."""
    if seen.kind != "chat" or not seen.whole or not (b"store" in seen.asked or b"\\u" in seen.asked):
        return _NOT_STORED
    asked = msgspec.json.decode(seen.asked, type=_Asked)
    return asked if asked.store else _NOT_STORED


def _item(seen: Observation, asked: _Asked, recording: Path | None, id: str) -> Item:
    created, days, stored = int(seen.began_at), seen.caller.policy.days, bool(asked.store)
    if stored and not days:
        days = STORED_DAYS
    return Item(
        id=id,
        request_id=seen.request_id,
        organization_id=seen.caller.organization_id,
        project_id=seen.caller.project_id,
        key_id=seen.caller.key_id,
        kind=seen.kind,
        snapshot=seen.snapshot,
        created_at=created,
        expires_at=created + days * SECONDS,
        days=days,
        whole=seen.whole,
        asked=seen.asked,
        answered=seen.answered,
        stored=stored,
        completion_id=msgspec.json.decode(seen.answered, type=_Answered).id if stored else None,
        metadata=(asked.metadata or {}) if stored else None,
        recording=recording,
    )


def _length(recording: Path | None) -> int:
    try:
        return recording.stat().st_size if recording is not None else 0
    except OSError:
        return 0  # to make a link to it fails, too, and says so


def _linked(seen: Observation) -> Path | None:
    """A link to the upload, beside it: the folder is emptied when a process starts in it."""
    if seen.recording is None:
        return None
    link = seen.recording.with_name(f"keep-{seen.request_id}")
    os.link(seen.recording, link)
    return link


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, for so long at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
