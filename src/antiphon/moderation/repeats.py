"""The same recording over and over: digests of uploads and when they came, in memory, bounded."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from io import BufferedReader

WINDOW_SECONDS = 3600.0
MOST_RECORDINGS = 10_000
"""That are remembered at once, of all organizations: of more the one seen longest ago is forgotten."""


class Repeats:
    """Counts of recordings within an hour. `most` is how often one may come until it is told of."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, bytes], deque[tuple[float, str]]] = OrderedDict()
        self._told: dict[tuple[str, bytes], float] = {}

    def add(self, organization_id: str, digest: bytes, request_id: str, now: float) -> int:
        """How often a recording came in the last hour, if that is to be told: once an hour; else 0.

        The same request counts once, however often it is added, and is to be told until it is `told`.
        """
        place = (organization_id, digest)
        times = self._seen.setdefault(place, deque(maxlen=self._most))
        self._seen.move_to_end(place)
        if (now, request_id) not in times:
            times.append((now, request_id))
        while len(self._seen) > MOST_RECORDINGS:
            self._told.pop(self._seen.popitem(last=False)[0], None)
        full = len(times) == self._most and times[0][0] > now - WINDOW_SECONDS
        if not full or self._told.get(place, -WINDOW_SECONDS) > now - WINDOW_SECONDS:
            return 0
        return len(times)

    def told(self, organization_id: str, digest: bytes, now: float) -> None:
        """It was: not again within an hour."""
        if (organization_id, digest) in self._seen:
            self._told[organization_id, digest] = now

    def __len__(self) -> int:
        return len(self._seen)


def digest(file: BufferedReader) -> bytes:
    """SHA-256 of a file, which is closed. Blocks on the disk."""
    with file:
        return hashlib.file_digest(file, "sha256").digest()
