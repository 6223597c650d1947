"""The seam of two windows that share sound: the words there were heard twice, and are to be told once."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby

import msgspec

from antiphon.values import Segment, Word

APART = 0.6
"""Seconds within which two hearings of one word lie; what is further apart was said twice."""
INEXACT = 0.1
"""Seconds by which a word's times are wrong anyway: to split that much of one is no loss."""


class _Heard(msgspec.Struct, frozen=True):
    """A word and the segment that it is in, by number."""

    segment: int
    word: Word

    @property
    def middle(self) -> float:
        return (self.word.start + self.word.end) / 2


def join(
    before: Sequence[Segment], after: Sequence[Segment], start: float, end: float
) -> tuple[list[Segment], list[Segment]]:
    """Both lists without what the other one tells.

    They come from neighbours that share the sound from `start` to `end`, in seconds of the recording, and
    their segments carry words; one without words is kept or dropped as a whole. Where the same words were
    heard, the first list holds them up to the middle of the longest such run and the second list the rest.
    Where the two differ, the second takes over near the middle of what both tell, between two words if
    possible. A segment that loses words is cut to the rest (`tokens` stay as they are), one that loses all
    of them is dropped. The second list begins no earlier than the first one ends.
    """
    first, second = _words(before), _words(after)
    if not first or not second:
        return list(before), list(after)
    kept, begun = _agreed(first, second, start, end) or _divided(first, second, start, end)
    first, second = _in_order(first[:kept], second[begun:])
    told, follows = _segments(before, first), _segments(after, second)
    if told and follows:
        # A segment may be longer than its words.
        told[-1] = msgspec.structs.replace(told[-1], end=min(told[-1].end, second[0].word.start))
        follows[0] = msgspec.structs.replace(follows[0], start=max(follows[0].start, first[-1].word.end))
    return told, follows


def _words(segments: Sequence[Segment]) -> list[_Heard]:
    return [
        _Heard(number, word)
        for number, segment in enumerate(segments)
        for word in segment.words or [Word(segment.text, segment.start, segment.end)]
    ]


def _agreed(first: list[_Heard], second: list[_Heard], start: float, end: float) -> tuple[int, int] | None:
    """How many words of the first list and from which of the second to keep; None where no word is the same.

    The run of equal words is looked for that is longest, and nearest in time: words repeat.
    """
    low = next((i for i, heard in enumerate(first) if heard.word.end > start - APART), len(first))
    high = next((j for j, heard in enumerate(second) if heard.word.start >= end + APART), len(second))
    plain = [_plain(heard.word.word) for heard in second[:high]]
    best, found = 0.0, None
    above = [(0.0, 0)] * (high + 1)
    for i in range(low, len(first)):
        name = _plain(first[i].word.word)
        row = [(0.0, 0)] * (high + 1)
        for j in range(high):
            near = 1 - _apart(first[i].word, second[j].word) / APART
            if name == plain[j] and near > 0:
                score, length = above[j][0] + near, above[j][1] + 1
                row[j + 1] = score, length
                if score > best:
                    best, found = score, (i + 1 - length // 2, j + 1 - length // 2)
        above = row
    return found


def _apart(one: Word, other: Word) -> float:
    """Seconds; of the two edges the nearer ones, for at a window's edge a word is stretched or torn."""
    return min(abs(one.start - other.start), abs(one.end - other.end))


def _plain(text: str) -> str:
    """A word without case, accents' encoding, space and punctuation; of punctuation alone, itself."""
    folded = unicodedata.normalize("NFKC", text).casefold().strip()
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "PSZC") or folded


def _divided(first: list[_Heard], second: list[_Heard], start: float, end: float) -> tuple[int, int]:
    """As `_agreed`, for words that differ: divided at the moment near the middle that splits the least."""
    low, high = max(start, second[0].word.start), min(end, first[-1].word.end)
    if low >= high:
        return len(first), 0
    middle = (low + high) / 2
    words = [heard.word for heard in (*first, *second) if heard.word.end > low and heard.word.start < high]
    edges = {edge for word in words for edge in (word.start, word.end) if low <= edge <= high}

    def badness(moment: float) -> tuple[float, float, float]:
        split = sum(max(0.0, min(moment - word.start, word.end - moment)) for word in words)
        return max(0.0, split - INEXACT), abs(moment - middle), moment

    moment = min({middle, *edges}, key=badness)
    kept = sum(heard.middle < moment for heard in first)
    return kept, sum(heard.middle < moment for heard in second)


def _in_order(first: list[_Heard], second: list[_Heard]) -> tuple[list[_Heard], list[_Heard]]:
    """The same words; where the two lists cross in time, they meet in between."""
    if not first or not second or first[-1].word.end <= second[0].word.start:
        return first, second
    last = first[-1].word
    moment = max(last.start, round((last.end + second[0].word.start) / 2, 3))
    shortened = _Heard(first[-1].segment, Word(last.word, last.start, moment))
    moved = [
        _Heard(
            heard.segment, Word(heard.word.word, max(heard.word.start, moment), max(heard.word.end, moment))
        )
        for heard in second
    ]
    return [*first[:-1], shortened], moved


def _segments(segments: Sequence[Segment], words: list[_Heard]) -> list[Segment]:
    """The segments with only these of their words."""
    return [
        _cut(segments[number], [heard.word for heard in group])
        for number, group in groupby(words, key=lambda heard: heard.segment)
    ]


def _cut(segment: Segment, words: list[Word]) -> Segment:
    """The segment with these of its words, which may have moved; untouched if they are what it has."""
    if words == segment.words:
        return segment
    start, end = words[0].start, words[-1].end
    if not segment.words:
        return msgspec.structs.replace(segment, start=start, end=end)
    lost = len(words) < len(segment.words)
    text = "".join(word.word for word in words) if lost else segment.text
    return msgspec.structs.replace(segment, text=text, start=start, end=end, words=words)
