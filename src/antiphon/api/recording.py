"""Answers kept in memory for retries: bounded by number, bytes and age; the oldest give way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from antiphon.errors import AntiphonError

KEEP_SECONDS = 24 * 3600.0
MOST_ANSWERS = 10_000
MOST_BYTES = 64 * 1024 * 1024
MOST_ANSWER_BYTES = 8 * 1024 * 1024


class Recording:
    """One answer of status 200 as it was written. `take` asks for room, and says whether there is some."""

    def __init__(self, take: Callable[[int], bool]) -> None:
        self._take = take
        self.content_type = ""
        self.streams = False
        self.body = bytearray()
        self.kept = True
        """Whether all of the answer so far is here; once it is not, nothing is."""

    def begin(self, content_type: str, *, streams: bool) -> None:
        self.content_type, self.streams = content_type, streams

    def add(self, piece: bytes) -> bool:
        """Keep what was written next, if there is room. The answer is `kept`."""
        if self.kept and len(self.body) + len(piece) <= MOST_ANSWER_BYTES and self._take(len(piece)):
            self.body += piece
        else:
            self.drop()
        return self.kept

    def drop(self) -> int:
        """Keep nothing. The answer is how many bytes are free again."""
        freed, self.body, self.kept = len(self.body), bytearray(), False
        return freed


class Entry:
    """A request under an idempotency key: it runs until `over` is set, then `error` or a recording is it."""

    def __init__(self, fingerprint: bytes, began: float, recording: Recording) -> None:
        self.fingerprint = fingerprint
        self.began = began
        self.recording = recording
        self.over = asyncio.Event()
        self.error: AntiphonError | None = None


class Answers:
    """The entries of this process, by the digest of project and key. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[bytes, Entry] = {}
        self._bytes = 0

    def find(self, digest: bytes) -> Entry | None:
        """The request that was last begun under this key, unless it failed or is forgotten."""
        self._forget_old()
        return self._entries.get(digest)

    def begin(self, digest: bytes, fingerprint: bytes) -> Entry:
        """A new entry, for a key that has none."""
        entry = Entry(fingerprint, self._clock(), Recording(self._take))
        self._entries[digest] = entry
        while len(self._entries) > MOST_ANSWERS and self._forget_oldest():
            continue
        return entry

    def finish(self, digest: bytes, error: AntiphonError | None = None) -> None:
        """The request is over. One that failed is told so to those who wait for it, and then forgotten."""
        entry = self._entries[digest]
        entry.error = error
        entry.over.set()
        if error is not None or not entry.recording.kept:
            self._forget(digest)

    def _take(self, count: int) -> bool:
        while self._bytes + count > MOST_BYTES:
            if not self._forget_oldest():
                return False
        self._bytes += count
        return True

    def _forget_old(self) -> None:
        before = self._clock() - KEEP_SECONDS
        while (oldest := self._oldest()) and self._entries[oldest].began < before:
            self._forget(oldest)

    def _forget_oldest(self) -> bool:
        oldest = self._oldest()
        if oldest is not None:
            self._forget(oldest)
        return oldest is not None

    def _oldest(self) -> bytes | None:
        """Of those that are over; a request that runs is never forgotten."""
        return next((digest for digest, entry in self._entries.items() if entry.over.is_set()), None)

    def _forget(self, digest: bytes) -> None:
        self._bytes -= self._entries.pop(digest).recording.drop()
