"""From windows, heard in order, to the segments of one recording."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from antiphon.values import Segment
from antiphon.workers.speech.join import join
from antiphon.workers.speech.values import RATE, Heard, Window


class Assembly:
    """Numbers the segments, mends the seams between windows that share sound, and never goes back in time.

    What a seam may still change is held back until its other side is there.
    """

    def __init__(self) -> None:
        self._held: list[Segment] = []
        self._count = 0
        self._at = 0.0
        self.language: str | None = None
        """ISO 639-1, of the first window in which somebody spoke."""

    def add(self, window: Window, heard: Heard) -> list[Segment]:
        """What is known for good, now that the next window is heard."""
        after = list(heard.segments)
        if after and self.language is None:
            self.language = heard.language
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
        return msgspec.structs.replace(segment, id=number, start=start, end=end)


def text(segments: Iterable[Segment]) -> str:
    """The whole text; each segment brings its own leading space, or none in languages without."""
    return "".join(segment.text for segment in segments).strip()
