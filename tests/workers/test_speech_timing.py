from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.values import Word
from antiphon.workers.speech import timing
from antiphon.workers.speech.tokens import TICK, Language, Piece


def aligned(
    language: Language,
    *said: tuple[str, Sequence[tuple[float, float]]],
    bounds: tuple[float, float] | None = None,
) -> list[list[Word]]:
    """Pieces, each a text and the times of its words, as an aligner that is exact would give them.

    `bounds` are the times that the model wrote around a single piece, if they are not those of its words.
    """
    pieces, starts, end = [], list[float](), 0.0
    for text, times in said:
        tokens = language.context(text)[1:]
        _, grouped = language.words(tokens, "en")
        for group, (start, end) in zip(grouped, times, strict=True):
            starts += [start + (end - start) * i / len(group) for i in range(len(group))]
        first, last = bounds or (times[0][0], times[-1][1])
        pieces.append(Piece(first, last, tokens))
    return timing.words(alignment([*starts, end]), pieces, language, "en")


def alignment(starts: Sequence[float]) -> SimpleNamespace:
    """CTranslate2's result: pairs of token and frame, for each token all of the frames that it has."""
    frames = [round(start / TICK) for start in starts]
    pairs = [
        (token, frame)
        for token, (first, last) in enumerate(zip(frames, [*frames[1:], frames[-1] + 3], strict=True))
        for frame in range(first, max(first + 1, last))
    ]
    return SimpleNamespace(alignments=pairs)


def test_each_word_has_its_time(language: Language) -> None:
    [words] = aligned(language, ("One two three", [(0.2, 0.6), (0.6, 1.0), (1.2, 1.6)]))
    assert [word.word for word in words] == [" One", " two", " three"]
    # A word reaches to where the next one begins.
    assert [word.start for word in words] == pytest.approx([0.2, 0.6, 1.2])
    assert [word.end for word in words] == pytest.approx([0.6, 1.2, 1.6])


def test_words_belong_to_their_pieces(language: Language) -> None:
    first, second = aligned(
        language, ("One two", [(0.2, 0.6), (0.6, 1.0)]), ("three four", [(1.0, 1.4), (1.4, 1.8)])
    )
    assert [word.word for word in first] == [" One", " two"]
    assert [word.word for word in second] == [" three", " four"]
    assert second[0].start == pytest.approx(1.0)


def test_punctuation_is_part_of_a_word(language: Language) -> None:
    times = [(n / 2, n / 2 + 0.5) for n in range(5)]
    [words] = aligned(language, ("Yes, he said.", times))
    assert [word.word for word in words] == [" Yes,", " he", " said."]


def test_a_full_stop_does_not_reach_into_the_pause(language: Language) -> None:
    times = [(0.0, 0.4), (0.4, 0.8), (0.8, 5.0), (5.0, 5.4), (5.4, 5.8)]
    [words] = aligned(language, ("One two. Three four", times))
    assert [word.word for word in words] == [" One", " two.", " Three", " four"]
    assert words[1].end < 2 and words[2].start == pytest.approx(5.0)


def test_the_first_word_of_a_piece_does_not_reach_far_before_it(language: Language) -> None:
    times = [(0.0, 4.4), (4.4, 4.8), (4.8, 5.2)]
    [words] = aligned(language, ("One two three", times), bounds=(4.0, 5.5))
    assert 3.5 < words[0].start <= 4.0 and words[0].end == pytest.approx(4.4)


def test_a_first_word_never_begins_before_it_was_heard(language: Language) -> None:
    times = [(3.44, 4.02), (4.02, 5.0), (5.0, 6.0)]
    [words] = aligned(language, ("One two three", times), bounds=(4.0, 6.0))
    assert words[0].start >= 3.44


def test_the_last_word_of_a_piece_does_not_reach_far_behind_it(language: Language) -> None:
    times = [(0.0, 0.4), (0.4, 0.8), (0.8, 9.0)]
    [words] = aligned(language, ("One two three", times), bounds=(0.0, 1.4))
    assert words[-1].start == pytest.approx(0.8) and words[-1].end == pytest.approx(1.4)


def test_the_last_word_never_ends_behind_what_was_heard(language: Language) -> None:
    times = [(0.0, 0.8), (0.8, 1.6), (1.6, 2.4), (2.4, 2.98)]
    [words] = aligned(language, ("One two three four", times), bounds=(0.0, 2.44))
    assert words[-1].end == pytest.approx(2.98)


def test_the_first_word_of_a_window_does_not_begin_before_anybody_speaks(language: Language) -> None:
    times = [(0.0, 1.6), (1.6, 2.0), (2.0, 2.4), (2.4, 2.8)]
    [words] = aligned(language, ("One two three four", times))
    assert words[0].start == pytest.approx(0.8) and words[0].end == pytest.approx(1.6)


def test_without_an_alignment_there_are_no_words(language: Language) -> None:
    pieces = [Piece(0, 1, [400]), Piece(1, 2, [500])]
    assert timing.words(SimpleNamespace(alignments=[]), pieces, language, "en") == [[], []]
    assert timing.words(alignment([0.0]), [], language, "en") == []


@st.composite
def said(draw: st.DrawFn) -> tuple[list[list[int]], list[float]]:
    """Text tokens of pieces, and when each token begins and the last one ends."""
    tokens = draw(st.lists(st.lists(st.integers(0, 50_256), min_size=1, max_size=6), min_size=1, max_size=4))
    count = sum(map(len, tokens)) + 1
    return tokens, sorted(draw(st.lists(st.floats(0, 15), min_size=count, max_size=count)))


@given(said(), st.sampled_from(["en", "zh"]))
@settings(deadline=None)
def test_times_never_go_back_and_no_text_is_lost(
    language: Language, said: tuple[list[list[int]], list[float]], code: str
) -> None:
    tokens, moments = said
    pieces, at = [], 0
    for held in tokens:
        pieces.append(Piece(moments[at], moments[at + len(held)], held))
        at += len(held)
    found = timing.words(alignment(moments), pieces, language, code)
    assert len(found) == len(pieces)
    words = [word for group in found for word in group]
    every = [token for held in tokens for token in held]
    assert "".join(word.word for word in words) == "".join(language.words(every, code)[0])
    for word in words:
        assert 0 <= word.start <= word.end
    starts = [word.start for word in words]
    assert starts == sorted(starts)
