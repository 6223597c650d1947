"""From windows, heard in order, to the segments of one recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from antiphon.values import Segment, Word
from antiphon.workers.speech.join import join
from antiphon.workers.speech.values import RATE, Heard, Window

CERTAIN = 5.0
"""Seconds of speech of which the model is sure, or more of which it is less sure, that tell a language."""


class Languages:
    """Which languages the windows of a recording are in, as far as they are heard. All are ISO 639-1."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._sure: defaultdict[str, float] = defaultdict(float)
        """Seconds weighed by how sure the model was of each."""
        self.certain: str | None = None
        """The first one that is beyond doubt: what is not, a second of noise may have told."""

    def add(self, heard: Heard) -> None:
        """Take note of one more window; one in which nobody speaks tells nothing."""
        seconds = sum(one.end - one.start for one in heard.segments)
        if seconds <= 0:
            return
        self._seconds[heard.language] += seconds
        self._sure[heard.language] += seconds * heard.certainty
        if self.certain is None and self._sure[heard.language] >= CERTAIN:
            self.certain = heard.language

    @property
    def main(self) -> str | None:
        """The one that is spoken for most of the time."""
        return max(self._seconds, key=self._seconds.__getitem__, default=None)


class Assembly:
    """Numbers the segments, mends the seams between windows that share sound, and never goes back in time.

    What a seam may still change is held back until its other side is there.
    """

    def __init__(self) -> None:
        self._held: list[Segment] = []
        self._count = 0
        self._at = 0.0
        self.languages = Languages()

    def add(self, window: Window, heard: Heard) -> list[Segment]:
        """What is known for good, now that the next window is heard."""
        after = list(heard.segments)
        self.languages.add(heard)
        before, self._held = self._held, []
        if window.head:
            begin = window.start / RATE
            before, after = join(before, after, begin, begin + window.head / RATE)
        if window.tail:
            shared = (window.end - window.tail) / RATE
            first = next((n for n, one in enumerate(after) if one.end > shared), len(after))
            after, self._held = after[:first], after[first:]
        return [self._numbered(one) for one in (*before, *after)]

    def end(self) -> list[Segment]:
        """The rest: nothing follows."""
        held, self._held = self._held, []
        return [self._numbered(one) for one in held]

    def _numbered(self, segment: Segment) -> Segment:
        start = max(segment.start, self._at)
        self._at = end = max(segment.end, start)
        number, self._count = self._count, self._count + 1
        words = list(_clamped(segment.words, start, end))
        return msgspec.structs.replace(segment, id=number, start=start, end=end, words=words)


def _clamped(words: Iterable[Word], start: float, end: float) -> Iterator[Word]:
    """The words of a segment within its times, none before the one before has ended."""
    for word in words:
        first = min(max(word.start, start), end)
        start = min(max(word.end, first), end)
        yield Word(word.word, first, start)
