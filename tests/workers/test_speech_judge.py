from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.workers.speech.judge import (
    LADDER,
    LONGEST_PHRASE,
    MOST_REPEATS,
    PHRASE,
    Attempt,
    best,
    echoes,
    next_rung,
    repeats,
    verdict,
)
from antiphon.workers.speech.values import Job, Rung

TEXT = "ask not what your country can do for you, ask what you can do for your country"
LOOP = "I don't know. " * 20


def attempt(text: str = TEXT, **differing: object) -> Attempt:
    plain = Attempt(
        rung=Rung(),
        tokens=list(range(len(text.split()))),
        text=text,
        avg_logprob=-0.3,
        no_speech_prob=0.01,
        ended=True,
        language="en",
        said=list(range(len(text.split()))),
        timed=True,
    )
    return msgspec.structs.replace(plain, **differing)


def job(temperature: float = 0.0) -> Job:
    return Job(id="a", organization="ours", model="m", temperature=temperature)


@pytest.mark.parametrize(
    ("differing", "expected"),
    [
        ({}, "good"),
        ({"avg_logprob": -1.0, "no_speech_prob": 1.0}, "good"),
        ({"avg_logprob": -1.01}, "wrong"),
        ({"avg_logprob": -1.01, "no_speech_prob": 0.6}, "wrong"),
        ({"avg_logprob": -1.01, "no_speech_prob": 0.61}, "silent"),
        ({"no_speech_prob": 0.99}, "good"),
        ({"ended": False}, "wrong"),
        ({"text": LOOP}, "wrong"),
        ({"text": LOOP, "no_speech_prob": 0.99}, "wrong"),
        ({"tokens": [7, 8] * 6}, "wrong"),
        ({"timed": False}, "wrong"),
        ({"said": [*range(9), *range(9)]}, "wrong"),
        ({"said": [*range(9), 99, *range(PHRASE)]}, "wrong"),
        ({"said": [*range(9), 99, *range(PHRASE - 1)]}, "good"),
        # The whole context does not tempt a model to go on.
        ({"timed": False, "rung": Rung(full=True)}, "good"),
        ({"said": [*range(9), *range(9)], "rung": Rung(full=True)}, "good"),
        ({"text": "", "tokens": [], "avg_logprob": 0.0}, "silent"),
        ({"text": "..."}, "silent"),
        ({"text": "是"}, "good"),
    ],
)
def test_what_is_thought_of_an_attempt(differing: dict[str, object], expected: str) -> None:
    assert verdict(attempt(**differing)) == expected


def test_text_that_repeats_itself_packs_well() -> None:
    assert attempt("").compression_ratio == 0
    assert attempt(TEXT).compression_ratio < 2 < 2.4 < attempt(LOOP).compression_ratio


phrases = st.lists(st.integers(0, 50_000), min_size=1, max_size=LONGEST_PHRASE, unique=True)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_an_echo_is_a_phrase_that_comes_again(said: list[int]) -> None:
    found = any(
        said[first : first + PHRASE] == said[second : second + PHRASE]
        for first in range(len(said) - PHRASE + 1)
        for second in range(first + PHRASE, len(said) - PHRASE + 1)
    )
    assert echoes(said) == found


@given(st.lists(st.integers(60_000, 70_000), unique=True), phrases, st.integers(1, 12))
def test_a_phrase_that_follows_itself_too_often_is_a_loop(
    before: list[int], phrase: list[int], times: int
) -> None:
    assert repeats([*before, *phrase * times, 99_999]) == (times > MOST_REPEATS)


@given(st.lists(st.integers(), unique=True))
def test_what_never_comes_twice_is_no_loop(tokens: list[int]) -> None:
    assert not repeats(tokens)


def test_the_whole_context_comes_before_higher_temperatures() -> None:
    tried = [rung := Rung()]
    while (following := next_rung(rung, job())) is not None:
        tried.append(rung := following)
    assert tried[0] == Rung(0.0, full=False, own=False)
    assert tried[1:] == [Rung(temperature, full=True, own=True) for temperature in LADDER]


def test_a_temperature_that_is_asked_for_is_kept() -> None:
    asked = job(0.3)
    again = next_rung(Rung(0.3), asked)
    assert again == Rung(0.3, full=True, own=True)
    assert next_rung(again, asked) is None


def test_the_best_of_bad_attempts_is_the_likeliest_that_is_no_loop() -> None:
    guess, wilder = attempt(avg_logprob=-1.2), attempt(avg_logprob=-1.9)
    packed = attempt(LOOP, avg_logprob=-0.1)
    looped = attempt(tokens=[7] * 9, avg_logprob=-0.2)
    assert best([wilder, packed, guess, looped]) is guess
    assert best([looped, packed]) is packed
    assert best([wilder]) is wilder
