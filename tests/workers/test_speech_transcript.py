from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from antiphon.values import Segment, Word
from antiphon.workers.speech.transcript import CERTAIN, Assembly, Languages
from antiphon.workers.speech.values import RATE, Heard, Window
from speech_house import text


def segment(start: float, end: float, *said: str, words: bool = False) -> Segment:
    """A stretch of speech whose words share its time equally."""
    each = (end - start) / max(1, len(said))
    timed = [
        Word(f" {word}", round(start + i * each, 3), round(start + (i + 1) * each, 3))
        for i, word in enumerate(said)
    ]
    return Segment(
        id=7,
        seek=0,
        start=start,
        end=end,
        text="".join(f" {word}" for word in said),
        tokens=[1],
        temperature=0.0,
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.0,
        words=timed if words else [],
    )


def window(number: int, start: float, end: float, *, head: float = 0, tail: float = 0) -> Window:
    samples = np.zeros(round((end - start) * RATE), np.int16)
    return Window(
        number=number,
        start=round(start * RATE),
        samples=samples,
        head=round(head * RATE),
        tail=round(tail * RATE),
    )


def heard(*segments: Segment, language: str = "en", certainty: float = 1.0) -> Heard:
    return Heard(segments=segments, language=language, certainty=certainty)


def test_segments_are_numbered_through_all_windows() -> None:
    assembly = Assembly()
    first = assembly.add(window(0, 0, 5), heard(segment(0, 2, "One"), segment(2, 5, "two.")))
    second = assembly.add(window(1, 7, 9), heard(segment(7, 9, "Three.")))
    assert assembly.end() == []
    assert [(one.id, one.start, one.end) for one in (*first, *second)] == [(0, 0, 2), (1, 2, 5), (2, 7, 9)]
    assert text([*first, *second]) == "One two. Three."


def test_the_language_is_that_which_is_spoken_most() -> None:
    assembly = Assembly()
    assembly.add(window(0, 0, 2), heard(language="nn"))
    assert assembly.languages.main is None
    assembly.add(window(1, 3, 5), heard(segment(3, 5, "Ja"), language="de"))
    assert assembly.languages.main == "de"
    assembly.add(window(2, 6, 8), heard(segment(6, 7.5, "Yes"), language="en"))
    assert assembly.languages.main == "de"
    assembly.add(window(3, 8, 9), heard(segment(8, 9, "Yes"), language="en"))
    assert assembly.languages.main == "en"


def test_a_language_is_certain_after_seconds_of_speech() -> None:
    languages = Languages()
    languages.add(heard(language="nn"))
    languages.add(heard(segment(0, 1, "Oh"), language="nn", certainty=0.3))
    languages.add(heard(segment(1, 2 * CERTAIN, "Ja"), language="de", certainty=0.5))
    assert languages.certain is None
    languages.add(heard(segment(20, 21, "Ja"), language="de", certainty=0.5))
    assert languages.certain == "de"
    languages.add(heard(segment(21, 40, "Yes"), language="en"))
    assert (languages.certain, languages.main) == ("de", "en")


def test_one_window_is_enough_if_the_model_is_sure() -> None:
    languages = Languages()
    languages.add(heard(segment(0, 6, "Guten", "Tag"), language="de", certainty=0.98))
    assert languages.certain == "de"


def test_what_a_seam_may_change_waits_for_its_other_side() -> None:
    assembly = Assembly()
    early = segment(0, 4, "before", "it", words=True)
    late = segment(8, 12, "eight", "nine", "ten", "elev-", words=True)
    assert [one.text for one in assembly.add(window(0, 0, 12, tail=2), heard(early, late))] == [early.text]
    following = segment(10, 14, "ten", "eleven", "twelve", "thirteen", words=True)
    told = assembly.add(window(1, 10, 14, head=2), heard(following))
    assert "".join(one.text for one in told) == " eight nine ten eleven twelve thirteen"
    assert [one.id for one in told] == [1, 2]
    assert assembly.end() == []


def test_a_seam_to_a_window_in_which_nothing_is_heard_loses_nothing() -> None:
    assembly = Assembly()
    assert assembly.add(window(0, 0, 12, tail=2), heard(segment(9, 12, "last", "words", words=True))) == []
    assert [one.text for one in assembly.add(window(1, 10, 14, head=2), heard())] == [" last words"]
    assembly = Assembly()
    assert assembly.add(window(0, 0, 12, tail=2), heard()) == []
    told = assembly.add(window(1, 10, 14, head=2), heard(segment(10, 14, "all", "of", "it", words=True)))
    assert [one.text for one in told] == [" all of it"]


def test_the_end_of_a_recording_gives_out_what_waits() -> None:
    assembly = Assembly()
    assert assembly.add(window(0, 0, 12, tail=2), heard(segment(9, 12, "last", words=True))) == []
    assert [(one.id, one.text) for one in assembly.end()] == [(0, " last")]
    assert assembly.end() == []


def test_a_window_with_seams_at_both_ends() -> None:
    assembly = Assembly()
    said = [f"w{n}" for n in range(30)]

    def part(first: int, last: int) -> Heard:
        return heard(segment(first, last, *said[first:last], words=True))

    told = [
        *assembly.add(window(0, 0, 12, tail=2), part(0, 12)),
        *assembly.add(window(1, 10, 22, head=2, tail=2), part(10, 22)),
        *assembly.add(window(2, 20, 30, head=2), part(20, 30)),
        *assembly.end(),
    ]
    assert text(told).split() == said
    assert [one.id for one in told] == [0, 1, 2]


def test_a_segment_that_would_go_back_begins_where_the_last_one_ended() -> None:
    assembly = Assembly()
    first = assembly.add(window(0, 0, 5), heard(segment(0, 5, "long")))
    second = assembly.add(window(1, 4, 9), heard(segment(3, 4, "inside"), segment(4.5, 9, "late")))
    assert [(one.start, one.end) for one in (*first, *second)] == [(0, 5), (5, 5), (5, 9)]


def test_words_stay_within_their_segment() -> None:
    assembly = Assembly()
    assembly.add(window(0, 0, 5), heard(segment(0, 5, "long")))
    given = segment(4, 9, "three", "words", "more", words=True)
    crossed = [Word(" three", 4, 5.5), Word(" words", 5.25, 7), Word(" more", 7, 10)]
    [told] = assembly.add(window(1, 4, 9), heard(msgspec.structs.replace(given, words=crossed)))
    assert (told.start, told.end, told.text) == (5, 9, " three words more")
    assert told.words == [Word(" three", 5, 5.5), Word(" words", 5.5, 7), Word(" more", 7, 9)]


@st.composite
def recordings(draw: st.DrawFn, *, seams: bool) -> list[tuple[Window, Heard]]:
    """Windows in order, each with segments somewhere about it, as a model may place them."""
    given, at, head, said = [], 0.0, 0.0, 0
    for number in range(draw(st.integers(1, 6))):
        length = draw(st.floats(4, 15))
        tail = draw(st.sampled_from([0.0, 1.5])) if seams else 0.0
        times = sorted(draw(st.lists(st.floats(at - 1 if at else 0, at + length + 1), max_size=6)))
        segments = []
        for start, end in pairwise(times):
            words = [f"w{said + n}" for n in range(draw(st.integers(1, 3)))]
            said += len(words)
            segments.append(segment(start, end, *words, words=seams))
        given.append((window(number, at, at + length, head=head, tail=tail), heard(*segments)))
        at += length - tail if tail else length + draw(st.floats(0, 3))
        head = tail
    return given


def told(given: list[tuple[Window, Heard]]) -> list[Segment]:
    assembly = Assembly()
    segments = [one for each in given for one in assembly.add(*each)]
    return [*segments, *assembly.end()]


def check(segments: list[Segment]) -> None:
    assert [one.id for one in segments] == list(range(len(segments)))
    moment = 0.0
    for one in segments:
        assert moment <= one.start <= one.end
        moment = one.start
        for word in one.words:
            assert moment <= word.start <= word.end <= one.end
            moment = word.end
        moment = one.end


@given(recordings(seams=False))
def test_without_seams_no_text_is_lost_or_changed(given: list[tuple[Window, Heard]]) -> None:
    segments = told(given)
    check(segments)
    heard_segments = [one for _, heard in given for one in heard.segments]
    assert [one.text for one in segments] == [one.text for one in heard_segments]
    assert [one.tokens for one in segments] == [one.tokens for one in heard_segments]


@given(recordings(seams=True))
def test_with_seams_times_never_go_back_and_no_word_comes_twice(given: list[tuple[Window, Heard]]) -> None:
    segments = told(given)
    check(segments)
    said = text(segments).split()
    assert len(said) == len(set(said))
    assert sorted(said, key=lambda word: int(word[1:])) == said
