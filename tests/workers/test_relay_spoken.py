"""What servers say of recordings, as segments."""

from __future__ import annotations

from antiphon.values import Segment
from antiphon.wire.openai import Spoken, SpokenSegment, SpokenWord
from antiphon.workers.relay.spoken import segments


def whole(found: list[Segment]) -> str:
    return "".join(one.text for one in found).strip()


def test_segments_are_numbered_and_whole() -> None:
    told = [SpokenSegment(0.0, 1.0, " One", tokens=[5]), SpokenSegment(1.0, None, " two", no_speech_prob=0.5)]
    first, second = segments(Spoken("One two", segments=told), 2.0)
    assert (first.id, first.text, first.end, first.tokens) == (0, " One", 1.0, [5])
    assert (second.id, second.start, second.end, second.no_speech_prob) == (1, 1.0, 1.0, 0.5)


def test_a_text_alone_is_one_segment_and_silence_is_none() -> None:
    [only] = segments(Spoken("One two"), 2.5)
    assert (only.start, only.end, only.text) == (0.0, 2.5, "One two")
    assert segments(Spoken(" "), 2.5) == [] == segments(Spoken("", segments=[]), 2.5)


def test_what_stands_between_segments_is_put_there_if_it_is_missing() -> None:
    told = [SpokenSegment(0, 1, "One"), SpokenSegment(1, 2, "two")]
    assert whole(segments(Spoken("One two", segments=told), 2.0)) == "One two"
    assert whole(segments(Spoken("Onetwo", segments=told), 2.0)) == "Onetwo", "of a language without blanks"


def test_words_belong_to_the_segment_in_which_they_begin() -> None:
    told = [SpokenSegment(0.5, 1, "a b"), SpokenSegment(1, 2, "c")]
    words = [SpokenWord("a", 0.4, 0.8), SpokenWord("b", 0.9, 1.1), SpokenWord("c", 1.2, 1.9)]
    first, second = segments(Spoken("a b c", segments=told, words=words), 2.0)
    assert [word.word for word in first.words] == ["a", "b"]
    assert [word.word for word in second.words] == ["c"]
