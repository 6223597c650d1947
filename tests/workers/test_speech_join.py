from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.values import Segment, Word
from antiphon.workers.speech.join import join

START, END = 10.0, 11.5
"""What the two windows share."""


def segment(words: Sequence[Word], number: int = 0, text: str | None = None) -> Segment:
    return Segment(
        id=number,
        seek=0,
        start=words[0].start,
        end=words[-1].end,
        text="".join(word.word for word in words) if text is None else text,
        tokens=[number],
        temperature=0.0,
        avg_logprob=-0.1,
        compression_ratio=1.0,
        no_speech_prob=0.0,
        words=list(words),
    )


def said(text: str, start: float, each: float = 0.3) -> list[Segment]:
    """One segment of words, `each` seconds long, that begins at a moment."""
    words = [
        Word(f" {word}", round(start + each * i, 3), round(start + each * (i + 1), 3))
        for i, word in enumerate(text.split())
    ]
    return [segment(words)] if words else []


def text(segments: Sequence[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def check(
    before: Sequence[Segment], after: Sequence[Segment], joined: tuple[list[Segment], list[Segment]]
) -> None:
    """What holds for any two lists."""
    told = [*joined[0], *joined[1]]
    words = [word for segment in told for word in segment.words]
    for word in words:
        assert word.start <= word.end
    for one, next_one in pairwise(words):
        assert one.end <= next_one.start
    for one, following in pairwise(told):
        assert one.start <= one.end <= following.start <= following.end
    for segment in told:
        assert segment.words and segment.text == "".join(word.word for word in segment.words)
        assert segment.start <= segment.words[0].start and segment.words[-1].end <= segment.end
    # No list is told in another order, and nothing is made up.
    for given_, kept in zip((before, after), joined, strict=True):
        heard = [word.word for segment in given_ for word in segment.words]
        left = [word.word for segment in kept for word in segment.words]
        assert left == (heard[: len(left)] if given_ is before else heard[len(heard) - len(left) :])


@st.composite
def speech(draw: st.DrawFn) -> list[tuple[float, float]]:
    """The times of words that cross the shared sound, from well before to well behind it."""
    moment, times = draw(st.floats(7, 9)), []
    while moment < END + 2:
        length = draw(st.floats(0.12, 0.45))
        times.append((moment, moment + length))
        moment += length + draw(st.sampled_from([0.0, 0.0, 0.05, 0.2]))
    return times


@st.composite
def hearing(draw: st.DrawFn, times: list[tuple[float, float]], texts: list[str]) -> list[Segment]:
    """Words with their times heard a little wrong, in one to three segments."""
    edges = [edge for pair in times for edge in pair]
    heard = [edge + draw(st.floats(-0.05, 0.05)) for edge in edges]
    for i in range(1, len(heard)):
        heard[i] = max(heard[i], heard[i - 1])
    words = [Word(word, round(heard[2 * i], 3), round(heard[2 * i + 1], 3)) for i, word in enumerate(texts)]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(words) - 1)), max_size=2)))
    parts = [words[a:b] for a, b in pairwise([0, *cuts, len(words)])]
    return [segment(part, number) for number, part in enumerate(parts) if part]


SPACES = st.sampled_from([" ", ""])
"""Languages with and without spaces between words."""


@settings(deadline=None, max_examples=100)
@given(data=st.data(), times=speech(), space=SPACES)
def test_no_word_is_lost_or_doubled(
    data: st.DataObject, times: list[tuple[float, float]], space: str
) -> None:
    """Some words are misheard, above all those that a window's edge tears; at least one both heard alike."""
    end = sum(start < END for start, _ in times)
    start = sum(stop <= START for _, stop in times)
    whole = [i for i in range(start, end) if times[i][0] >= START and times[i][1] <= END]
    right = data.draw(st.sampled_from(whole))
    wrong = data.draw(st.tuples(st.sets(st.integers(start, end)), st.sets(st.integers(start, end))))
    heard = []
    for name, indices, errors in (("a", range(end), wrong[0]), ("b", range(start, len(times)), wrong[1])):
        texts = [f"{space}{name}{i}," if i in errors - {right} else f"{space}{i}" for i in indices]
        heard.append(data.draw(hearing([times[i] for i in indices], texts)))
    joined = join(heard[0], heard[1], START, END)
    check(heard[0], heard[1], joined)
    told = [word.word for part in joined for segment in part for word in segment.words]
    assert [int(word.strip(" ,ab")) for word in told] == list(range(len(times)))


@settings(deadline=None, max_examples=100)
@given(data=st.data(), times=speech(), space=SPACES)
def test_words_that_repeat_are_matched_by_time(
    data: st.DataObject, times: list[tuple[float, float]], space: str
) -> None:
    alphabet = data.draw(st.sampled_from([["no"], ["no", "yes"], ["い", "や", "い"]]))
    texts = [space + data.draw(st.sampled_from(alphabet)) for _ in times]
    end = sum(stop <= END for _, stop in times)
    start = sum(first < START for first, _ in times)
    before = data.draw(hearing(times[:end], texts[:end]))
    after = data.draw(hearing(times[start:], texts[start:]))
    joined = join(before, after, START, END)
    check(before, after, joined)
    assert text([*joined[0], *joined[1]]) == "".join(texts)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), first=speech(), second=speech())
def test_any_two_hearings_are_joined_in_order(
    data: st.DataObject, first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    """Nothing agrees: what lies outside of the shared sound is kept, and time goes on."""
    first = [pair for pair in first if pair[0] < END]
    second = [pair for pair in second if pair[1] > START]
    before = data.draw(hearing(first, [f" a{i}" for i in range(len(first))]))
    after = data.draw(hearing(second, [f" b{i}" for i in range(len(second))]))
    joined = join(before, after, START, END)
    check(before, after, joined)
    told = text([*joined[0], *joined[1]]).split()
    outside = {word.word.strip() for s in before for word in s.words if word.end <= START}
    outside |= {word.word.strip() for s in after for word in s.words if word.start >= END}
    assert outside <= set(told)


def test_the_switch_is_in_the_middle_of_what_agrees() -> None:
    before = said("one two three four five", 9.8)
    after = said("woe three four fife six", 10.1)
    first, second = join(before, after, START, END)
    assert text(first) == " one two three" and text(second) == " four fife six"
    assert first[0].end == 10.7 and second[0].start == 10.7
    assert first[0].tokens == before[0].tokens and second[0].words == after[0].words[2:]


def test_case_and_punctuation_do_not_matter() -> None:
    before = said("We said so. Then", 10.0)
    after = said("SAID «so» then, we", 10.3)
    first, second = join(before, after, START, END)
    assert (text(first), text(second)) == (" We said so.", " then, we")


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("हिंदी", "हिंदी।"),
        ("Straße", "STRASSE!"),
        ("caf\u00e9", "cafe\u0301"),
        ("don't", "don’t"),
        ("ｱ", "ア"),
        ("…", "…"),
    ],
)
def test_words_of_any_script_are_compared(one: str, same: str) -> None:
    first, second = join(said(f"a {one}", 10.2), said(f"{same} b", 10.5), START, END)
    assert (text(first), text(second)) == (f" a {one}", " b")


def test_signs_that_make_another_word_are_no_punctuation() -> None:
    first, second = join(said("a की", 10.2), said("का b", 10.6), START, END)
    assert (text(first), text(second)) == (" a", " का b")


def test_equal_words_far_apart_are_two_words() -> None:
    before, after = said("so it was", 9.0), said("so it is", 11.2)
    assert join(before, after, START, END) == (before, after)


def test_a_list_that_heard_nothing_costs_the_other_nothing() -> None:
    full = said("one two three four five", 10.0)
    assert join(full, [], START, END) == (full, [])
    assert join([], full, START, END) == ([], full)
    assert join([], [], START, END) == ([], [])
    for early in (said("before", 9.0), said("before", 9.69)):
        assert join(early, full, START, END) == (early, full)
    late = said("behind", 11.6)
    assert join(full, late, START, END) == (full, late)


def test_where_nothing_agrees_no_word_is_split() -> None:
    """The middle is 10.75. 10.62 is nearer, but inside of a word; 10.9 is inside of none."""
    before = [segment([Word(" a", 10.0, 10.45), Word(" b", 10.45, 10.9), Word(" c", 10.9, 11.5)])]
    after = [segment([Word(" x", 10.0, 10.62), Word(" y", 10.62, 10.9), Word(" z", 10.9, 11.5)])]
    first, second = join(before, after, START, END)
    assert (text(first), text(second)) == (" a b", " z")
    assert (first[-1].end, second[0].start) == (10.9, 10.9)


def test_where_every_moment_splits_a_word_the_least_is_split() -> None:
    before = [segment([Word(" a", 10.0, 10.8), Word(" b", 10.8, 11.5)])]
    after = [segment([Word(" x", 10.0, 10.74), Word(" y", 10.74, 11.5)])]
    first, second = join(before, after, START, END)
    assert (text(first), text(second)) == (" a", " y")
    assert first[-1].words[-1].end <= second[0].words[0].start


def test_segments_that_lose_all_are_dropped_and_others_stay_as_they_are() -> None:
    before = [*said("long before this", 7.0), *said("one two", 10.0), *said("tree", 11.0)]
    after = [*said("won", 10.0), *said("two three", 10.3), *said("long after", 12.0)]
    before = [msgspec.structs.replace(s, id=i) for i, s in enumerate(before)]
    first, second = join(before, after, START, END)
    assert first == before[:2] and text(second) == " three long after" and second[1] == after[2]


def test_a_segment_without_words_is_kept_or_dropped_as_a_whole() -> None:
    before = said("one two three four", 9.4)
    bare = [msgspec.structs.replace(s, words=[]) for s in said("two three four", 11.3)]
    first, second = join(before, bare, START, END)
    assert (first, second) == (before, bare)
    inside = [msgspec.structs.replace(said("mumble", 10.0)[0], words=[], end=10.4)]
    first, second = join([*said("so", 9.4), *inside], said("he mumbled", 9.95, 0.5), START, END)
    assert text([*first, *second]) in (" so he mumbled", " so mumble mumbled")


def test_a_segment_longer_than_its_words_ends_where_the_next_begins() -> None:
    before = [msgspec.structs.replace(said("one two", 10.0)[0], end=11.5)]
    after = [msgspec.structs.replace(said("two three", 10.3)[0], start=10.0)]
    first, second = join(before, after, START, END)
    assert (text(first), text(second)) == (" one two", " three")
    assert (first[0].end, second[0].start) == (10.6, 10.6)
    before = [msgspec.structs.replace(said("one", 10.0)[0], end=11.5)]
    after = [msgspec.structs.replace(said("two three", 10.3)[0], start=10.0)]
    first, second = join(before, after, START, END)
    assert (text(first), text(second)) == (" one", " two three")
    assert (first[0].end, second[0].start) == (10.3, 10.3)
