"""What a server says of a recording, as segments."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from antiphon.values import Segment, Word
from antiphon.wire.openai import Spoken, SpokenSegment, SpokenWord


def segments(spoken: Spoken, seconds: float) -> list[Segment]:
    """In order; of a server that tells none, one that is as long as the recording. Silence has none."""
    told = spoken.segments or ([SpokenSegment(0.0, seconds, spoken.text)] if spoken.text.strip() else [])
    texts = _spaced([one.text for one in told], spoken.text)
    found = [_segment(number, one, text) for number, (one, text) in enumerate(zip(told, texts, strict=True))]
    return _with_words(found, spoken.words or [])


def _spaced(texts: Sequence[str], whole: str) -> list[str]:
    """Texts that give the whole when they are put together: some servers leave out what is between them."""
    if "".join(texts).strip() == whole.strip():
        return list(texts)
    return [f" {text.strip()}" for text in texts]


def _segment(number: int, told: SpokenSegment, text: str) -> Segment:
    start = max(0.0, told.start or 0.0)
    return Segment(
        id=number,
        seek=told.seek or 0,
        start=start,
        end=max(start, told.end or 0.0),
        text=text,
        tokens=told.tokens or [],
        temperature=told.temperature or 0.0,
        avg_logprob=told.avg_logprob or 0.0,
        compression_ratio=told.compression_ratio or 0.0,
        no_speech_prob=told.no_speech_prob or 0.0,
    )


def _with_words(found: Sequence[Segment], words: Sequence[SpokenWord]) -> list[Segment]:
    """Each word in the last segment that has begun when it does."""
    if not words or not found:
        return list(found)
    theirs: list[list[Word]] = [[] for _ in found]
    for word in words:
        place = max((n for n, segment in enumerate(found) if segment.start <= word.start), default=0)
        theirs[place].append(Word(word.word, word.start, word.end))
    return [msgspec.structs.replace(segment, words=own) for segment, own in zip(found, theirs, strict=True)]
