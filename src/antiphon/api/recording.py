"""Answers kept in memory for retries: bounded by number, bytes and age; the oldest give way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from antiphon.errors import AntiphonError
from antiphon.values import Policy

KEEP_SECONDS = 24 * 3600.0
"""From the end of an answer on."""
ZERO_SECONDS = 600.0
"""The same where nothing is kept by policy: for clients that lost the connection, and no longer."""
MOST_ANSWERS = 10_000
MOST_BYTES = 64 * 1024 * 1024
MOST_ANSWER_BYTES = 8 * 1024 * 1024


class Recording:
    """One answer of status 200 as it was written.

    `take` asks for room in bytes, and says whether there is some; `give_back` is told what is free again.
    """

    def __init__(self, take: Callable[[int], bool], give_back: Callable[[int], None]) -> None:
        self._take, self._give_back = take, give_back
        self.content_type = ""
        self.headers: Mapping[str, str] = {}
        self.streams = False
        self.body: bytearray | bytes = bytearray()
        self.kept = True
        """Whether all of the answer so far is here; once it is not, nothing is."""
        self.charged: Callable[[], bool] = lambda: False
        """Whether the request is charged, or may be yet, even if it ends as an error."""

    def begin(self, content_type: str, headers: Mapping[str, str] = {}, *, streams: bool) -> None:
        """`headers` are what this answer has besides those of every answer."""
        self.content_type, self.headers, self.streams = content_type, dict(headers), streams

    def add(self, piece: bytes) -> bool:
        """Keep what was written next, if there is room. The answer is `kept`."""
        if self.kept and len(self.body) + len(piece) <= MOST_ANSWER_BYTES and self._take(len(piece)):
            self.body += piece
        else:
            self.drop()
        return self.kept

    def end(self) -> None:
        """Nothing more is written: from now on, `bytes(body)` is one object that all retries share."""
        self.body = bytes(self.body)

    def drop(self) -> None:
        """Keep nothing, now and later."""
        self._give_back(len(self.body))
        self.body, self.kept = bytearray(), False


class Entry:
    """A request under an idempotency key: it runs until `over` is set, then `error` or a recording is it.

    `began_at` in unix seconds; `ended` by the clock of `Answers`.
    """

    def __init__(self, fingerprint: bytes, began_at: float, recording: Recording) -> None:
        self.fingerprint = fingerprint
        self.began_at = began_at
        self.ended = 0.0
        self.recording = recording
        self.over = asyncio.Event()
        self.error: AntiphonError | None = None
        self.forgetting: asyncio.TimerHandle | None = None


class Answers:
    """The entries of this process, by the digest of project and key. `clock` is monotonic.

    They forget by themselves, whether somebody asks or not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[bytes, Entry] = {}
        self.held = 0
        """Bytes of all that is kept."""

    def find(self, digest: bytes) -> Entry | None:
        """The request that was last begun under this key, unless it failed or is forgotten."""
        return self._entries.get(digest)

    def begin(self, digest: bytes, fingerprint: bytes, began_at: float) -> Entry:
        """A new entry, for a key that has none."""
        entry = Entry(fingerprint, began_at, Recording(self._take, self._give_back))
        self._entries[digest] = entry
        while len(self._entries) > MOST_ANSWERS and self._forget_oldest():
            continue
        return entry

    def finish(self, digest: bytes, policy: Policy, error: AntiphonError | None = None) -> None:
        """The request is over. One that failed is told so to those who wait for it, and then forgotten; any
        other when its time is over by its caller's `policy`."""
        entry = self._entries[digest]
        entry.error, entry.ended = error, self._clock()
        entry.recording.end()
        entry.over.set()
        if error is not None or not entry.recording.kept:
            self._forget(digest)
        else:
            loop = asyncio.get_running_loop()
            entry.forgetting = loop.call_later(keep_seconds(policy), self._forget, digest)

    def may_give(self, entry: Entry, policy: Policy, erased_at: int) -> bool:
        """Whether an answer may be given out once more, as things are now; else nothing of it is kept on.

        `erased_at`: when all that was kept of who asked was erased, the last time, in unix seconds.
        """
        late = self._clock() - entry.ended > keep_seconds(policy)
        if late or int(entry.began_at) <= erased_at:
            entry.recording.drop()
        return entry.recording.kept

    def _take(self, count: int) -> bool:
        while self.held + count > MOST_BYTES:
            if not self._forget_oldest():
                return False
        self.held += count
        return True

    def _give_back(self, count: int) -> None:
        self.held -= count

    def _forget_oldest(self) -> bool:
        oldest = self._oldest()
        if oldest is not None:
            self._forget(oldest)
        return oldest is not None

    def _oldest(self) -> bytes | None:
        """Of those that are over; a request that runs is never forgotten."""
        return next((digest for digest, entry in self._entries.items() if entry.over.is_set()), None)

    def _forget(self, digest: bytes) -> None:
        entry = self._entries.pop(digest)
        if entry.forgetting is not None:
            entry.forgetting.cancel()
        entry.recording.drop()


def keep_seconds(policy: Policy) -> float:
    """For how long an answer is kept for retries, from its end on."""
    return KEEP_SECONDS if policy.days > 0 else ZERO_SECONDS
