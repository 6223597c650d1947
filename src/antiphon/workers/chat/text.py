"""From the bytes of tokens to text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence


class TextStream:
    """The text of one answer while it grows. Nothing follows once it has `stopped`."""

    def __init__(self, table: Sequence[bytes], stops: Sequence[str] = ()) -> None:
        """`table`: the bytes of each token, by id."""
        self._table, self._stops = table, [stop for stop in stops if stop]
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.stopped = False

    def feed(self, tokens: Iterable[int]) -> str:
        """What may be shown now. A character that is not whole, or what may become a stop string, is held."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(b"".join(self._table[token] for token in tokens))
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._take(min(found))
        return self._take(len(self._held) - self._beginning())

    def end(self) -> str:
        """What was held, now that no more comes. Bytes of a character that was not finished are dropped."""
        return "" if self.stopped else self._take(len(self._held))

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken

    def _beginning(self) -> int:
        """How many characters at the end could be the beginning of a stop string."""
        for length in range(min(len(self._held), self._longest - 1), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
