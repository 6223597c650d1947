from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.workers.speech.tokens import MOST_PROMPT, TICK, Language

EOT, TIMESTAMPS, END = 50_257, 50_364, 50_364 + 1501
"""Of every multilingual Whisper before large-v3: text is below the first, times begin at the second."""
text_tokens = st.integers(0, EOT - 1)
any_tokens = st.lists(
    st.one_of(text_tokens, st.integers(EOT, TIMESTAMPS - 1), st.integers(TIMESTAMPS, END - 1)), max_size=40
)
lengths = st.floats(0.1, 30)


def at(seconds: float) -> int:
    return TIMESTAMPS + round(seconds / TICK)


def test_the_numbers_of_this_file_are_the_models(language: Language) -> None:
    assert (language.eot, language.timestamp_begin) == (EOT, TIMESTAMPS)


def test_an_answer_begins_with_language_and_task(language: Language) -> None:
    english, german = language.start("en", "transcribe"), language.start("de", "transcribe")
    translated = language.start("de", "translate")
    assert len(english) == len(german) == 3
    assert english[0] == german[0] and english[1] != german[1] and english[2] == german[2]
    assert translated[:2] == german[:2] and translated[2] != german[2]


def test_a_model_of_english_alone_is_told_neither(whisper_base: Path, language: Language) -> None:
    english = Language(whisper_base, multilingual=False)
    assert english.start("en", "transcribe") == language.start("en", "transcribe")[:1]


def test_what_would_steer_the_model_is_suppressed(language: Language) -> None:
    start = language.start("en", "transcribe")
    assert {start[0], start[2], *language.context("x")[:1]} <= set(language.suppressed)
    assert language.suppressed == sorted(set(language.suppressed))
    assert language.eot not in language.suppressed
    assert all(token < TIMESTAMPS for token in language.suppressed)


def test_a_prompt_is_text_that_came_before(language: Language) -> None:
    previous, *tokens = language.context("  Guten Tag, Antiphon ")
    assert previous >= EOT
    assert language.text(tokens) == " Guten Tag, Antiphon"


@pytest.mark.parametrize("prompt", [None, "", " \n "])
def test_a_prompt_without_text_is_none(language: Language, prompt: str | None) -> None:
    assert language.context(prompt) == []


def test_of_a_long_prompt_the_end_is_read(language: Language) -> None:
    context = language.context("one two three " * 400 + "the end")
    assert len(context) == 1 + MOST_PROMPT
    assert language.text(context).endswith(" three the end")


@given(prompt=st.text(max_size=60).map(lambda text: text + "<|translate|><|0.00|>"))
@settings(deadline=None)
def test_no_prompt_carries_control_tokens(language: Language, prompt: str) -> None:
    _, *tokens = language.context(prompt) or [0]
    assert all(token < EOT for token in tokens)


@given(st.lists(text_tokens, max_size=12), st.sampled_from(["en", "de", "zh", "ja"]))
@settings(deadline=None)
def test_words_hold_every_token_once(language: Language, tokens: list[int], code: str) -> None:
    words, grouped = language.words(tokens, code)
    assert len(words) == len(grouped) and all(grouped)
    assert [token for group in grouped for token in group] == tokens


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        (" Ask not, what?", "en", [" Ask", " not", ",", " what", "?"]),
        (" Straßenbahnhaltestelle", "de", [" Straßenbahnhaltestelle"]),
        ("你好，世界", "zh", None),
        ("ສະບາຍດີ", "lo", None),
        # No word of Khmer is told from the next one.
        (" សួស្តីពិភពលោក", "km", [" សួស្តីពិភពលោក"]),
    ],
)
def test_words_are_told_apart_by_spaces_or_by_characters(
    language: Language, text: str, code: str, expected: list[str] | None
) -> None:
    tokens = language.context(text)[1:]
    words, _ = language.words(tokens, code)
    if expected is None:
        assert "".join(words).strip() == text and len(words) > 2
    else:
        assert words == expected


def test_half_a_character_at_the_end_is_a_word(language: Language) -> None:
    tokens = language.context("bravo 😀")[1:]
    words, grouped = language.words(tokens[:-1], "en")
    assert words[0] == " bravo" and len(words) > 1
    assert [token for group in grouped for token in group] == tokens[:-1]


@given(any_tokens, lengths)
def test_pieces_hold_all_text_once_and_times_never_go_back(
    language: Language, tokens: list[int], length: float
) -> None:
    pieces = language.pieces(tokens, length)
    kept = [token for piece in pieces for token in piece.tokens]
    moments, said = 0.0, list[int]()
    for token in tokens:
        if token >= TIMESTAMPS:
            moments = (token - TIMESTAMPS) * TICK
        elif token < EOT and moments < length:
            said.append(token)
    assert [token for token in kept if token < EOT] == said
    moment = 0.0
    for piece in pieces:
        assert any(token < EOT for token in piece.tokens)
        assert moment <= piece.start < piece.end <= length
        moment = piece.end


@given(any_tokens, lengths)
def test_pieces_invent_no_token(language: Language, tokens: list[int], length: float) -> None:
    rest = iter(tokens)
    for piece in language.pieces(tokens, length):
        for token in piece.tokens:
            assert token in rest


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], []),
        ([at(0), at(2)], []),
        ([at(0.5), 1, 2, at(2)], [(0.5, 2.0, [at(0.5), 1, 2, at(2)])]),
        (
            [at(0), 1, at(2), at(3), 2, at(4)],
            [(0.0, 2.0, [at(0), 1, at(2)]), (3.0, 4.0, [at(3), 2, at(4)])],
        ),
        # One timestamp between two stretches ends the one and begins the other.
        ([at(0), 1, at(2), 2, at(4)], [(0.0, 2.0, [at(0), 1, at(2)]), (2.0, 4.0, [2, at(4)])]),
        # Without timestamps: the whole window.
        ([1, 2], [(0.0, 9.0, [1, 2])]),
        ([at(1), 1, at(3), at(3), 2], [(1.0, 3.0, [at(1), 1, at(3)]), (3.0, 9.0, [at(3), 2])]),
        # In the silence that the window was filled up with.
        ([at(1), 1, at(29)], [(1.0, 9.0, [at(1), 1, at(29)])]),
        # Made up in that silence.
        ([at(1), 1, at(3), at(9), 2, at(12)], [(1.0, 3.0, [at(1), 1, at(3)])]),
        ([at(9.5), 1], []),
        # A time that goes back, and one without length.
        ([at(4), 1, at(3), at(2), 2, at(5)], [(2.0, 5.0, [at(4), 1, at(3), at(2), 2, at(5)])]),
        ([at(1), 1, at(5), at(3), 2, at(3)], [(1.0, 5.0, [at(1), 1, at(5), at(3), 2, at(3)])]),
        ([at(4), 1, at(4)], [(0.0, 9.0, [at(4), 1, at(4)])]),
    ],
)  # fmt: skip
def test_tokens_become_pieces(
    language: Language, tokens: list[int], expected: list[tuple[float, float, list[int]]]
) -> None:
    found = [(piece.start, piece.end, piece.tokens) for piece in language.pieces(tokens, 9.0)]
    assert [tokens for _, _, tokens in found] == [tokens for _, _, tokens in expected]
    for (start, end, _), (first, last, _) in zip(found, expected, strict=True):
        assert (start, end) == (pytest.approx(first), pytest.approx(last))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], (0.0, None)),
        ([1, 2], (0.0, None)),
        ([at(0), 1, at(2), at(3), 2, at(30)], (3.0, 30.0)),
        ([at(0), 1, at(2), 2], (2.0, None)),
    ],
)
def test_the_last_words_have_the_times_that_the_model_wrote(
    language: Language, tokens: list[int], expected: tuple[float, float | None]
) -> None:
    assert language.last(tokens) == expected
