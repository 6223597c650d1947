"""Whether it is worth asking something that may be away. Plain decisions on a monotonic clock."""

from __future__ import annotations


class Breaker:
    """Open after `failures` in a row: then one question in `seconds` goes through, until one succeeds."""

    def __init__(self, failures: int = 3, seconds: float = 1.0) -> None:
        self._most = failures
        self._seconds = seconds
        self._failures = 0
        self._next = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._most

    def allows(self, now: float) -> bool:
        """Whether to ask now. When open, the one who may ask is the only one for a while."""
        if not self.open:
            return True
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

    def failed(self, now: float) -> bool:
        """Whether this failure opened it."""
        was_open = self.open
        self._failures += 1
        if self.open and not was_open:
            self._next = now + self._seconds
        return self.open and not was_open

    def untold(self) -> None:
        """What came of a question that went through while it was open was not seen: the next may ask now."""
        self._next = 0.0

    def succeeded(self) -> bool:
        """Whether this success closed it."""
        was_open = self.open
        self._failures = 0
        return was_open
