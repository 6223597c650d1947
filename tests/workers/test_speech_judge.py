from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.workers.speech.judge import (
    LADDER,
    LONGEST_PHRASE,
    MOST_REPEATS,
    MOST_SHORT_REPEATS,
    MOST_UNHEARD,
    PHRASE,
    PHRASE_TEXT,
    SHORT_PHRASE,
    Attempt,
    best,
    echoes,
    next_rung,
    prompted,
    repeats,
    verdict,
)
from antiphon.workers.speech.tokens import Language
from antiphon.workers.speech.values import Job, Rung

TEXT = "ask not what your country can do for you, ask what you can do for your country"
LOOP = "I don't know. " * 20
WHOLE = Rung(full=True)


def attempt(text: str = TEXT, **differing: object) -> Attempt:
    plain = Attempt(
        rung=Rung(),
        tokens=list(range(len(text.split()))),
        text=text,
        avg_logprob=-0.3,
        no_speech_prob=0.01,
        ended=True,
        language="en",
        certainty=1.0,
        echoes=False,
        parrots=False,
        sound=6.0,
        since=2.0,
        until=5.0,
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
        ({"no_speech_prob": 0.99}, "good"),
        ({"ended": False}, "wrong"),
        ({"text": LOOP}, "wrong"),
        ({"text": LOOP, "no_speech_prob": 0.99}, "wrong"),
        ({"tokens": [7, 8, 9] * 6}, "wrong"),
        ({"until": None}, "wrong"),
        ({"echoes": True}, "wrong"),
        ({"text": "是"}, "good"),
        # The whole context does not tempt a model to go on.
        ({"until": None, "rung": WHOLE}, "good"),
        ({"echoes": True, "rung": WHOLE}, "good"),
        # What begins in the padding was not said; of the whole context it is left out.
        ({"since": 6.0, "until": 8.0}, "wrong"),
        ({"since": 6.0, "until": 8.0, "rung": WHOLE}, "good"),
        # More was said than was written.
        ({"until": 6.0 - MOST_UNHEARD}, "good"),
        ({"until": 5.9 - MOST_UNHEARD}, "wrong"),
        ({"until": 5.9 - MOST_UNHEARD, "rung": WHOLE}, "good"),
        # That nothing was said is believed of the whole context alone.
        ({"avg_logprob": -1.01, "no_speech_prob": 0.61}, "wrong"),
        ({"avg_logprob": -1.01, "no_speech_prob": 0.61, "rung": WHOLE}, "silent"),
        ({"text": "", "tokens": [], "avg_logprob": 0.0}, "wrong"),
        ({"text": "", "tokens": [], "avg_logprob": 0.0, "rung": WHOLE}, "silent"),
        ({"text": "...", "rung": WHOLE}, "silent"),
        # The prompt is all that comes out of silence.
        ({"parrots": True, "rung": WHOLE}, "good"),
        ({"parrots": True, "no_speech_prob": 0.61, "rung": WHOLE}, "silent"),
    ],
)
def test_what_is_thought_of_an_attempt(differing: dict[str, object], expected: str) -> None:
    assert verdict(attempt(**differing)) == expected


def test_text_that_repeats_itself_packs_well() -> None:
    assert attempt("").compression_ratio == 0
    assert attempt(TEXT).compression_ratio < 2 < 2.4 < attempt(LOOP).compression_ratio


phrases = st.lists(st.integers(0, 50_000), min_size=1, max_size=LONGEST_PHRASE, unique=True)


def long(run: list[int]) -> str:
    """Tokens of three characters each."""
    return "".join(f"{token:3}" for token in run)


@given(st.lists(st.integers(100, 103), max_size=30))
def test_an_echo_is_a_phrase_that_comes_again(said: list[int]) -> None:
    found = any(
        said[first : first + PHRASE] == said[second : second + PHRASE]
        for first in range(len(said) - PHRASE + 1)
        for second in range(first + PHRASE, len(said) - PHRASE + 1)
    )
    assert echoes(said, long) == found


def halves(run: list[int]) -> str:
    """Tokens of half a character each, as in scripts that need one for every byte."""
    return "\ufffd" * (len(run) > 0 and run[0] % 2) + "x" * (len(run) // 2)


@given(st.integers(PHRASE, 40))
def test_an_echo_is_so_many_characters_long(length: int) -> None:
    said = list(range(0, 2 * length, 2))
    assert echoes([*said, 999, *said], halves) == (length // 2 >= PHRASE_TEXT)


def test_of_several_echoes_one_is_long_enough() -> None:
    short, whole = [1, 2, 3, 4, 5], [101, 102, 103, 104, 105]
    said = [*short, *whole, 99, *short, 98, *whole]
    assert echoes(said, long) and not echoes(said, lambda run: "a")
    assert echoes(said, lambda run: "".join("ab" if token > 99 else "" for token in run))


@given(st.lists(st.integers(60_000, 70_000), unique=True), phrases, st.integers(1, 12))
def test_a_phrase_that_follows_itself_too_often_is_a_loop(
    before: list[int], phrase: list[int], times: int
) -> None:
    most = MOST_SHORT_REPEATS if len(phrase) <= SHORT_PHRASE else MOST_REPEATS
    assert repeats([*before, *phrase * times, 99_999]) == (times > most)


@pytest.mark.parametrize("text", [" No, no, no, no, no, no.", " My number is 0 0 0 0 0 1."])
def test_people_repeat_themselves(language: Language, text: str) -> None:
    assert verdict(attempt(text, tokens=language.context(text)[1:])) == "good"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A syllable that comes twice in any sentence is five tokens of Telugu.
        (" నేను ఇంటికి వెళ్తున్నాను, నేను రేపు వస్తాను", False),
        (" ഞാൻ വീട്ടിൽ പോകുന്നു, ഞാൻ നാളെ വരും", False),
        ("今天天气很好我们去公园。今天天气很好我们去公园。", True),
        (" ask not what your country can do, ask not what your country can do", True),
    ],
)
def test_echoes_of_any_script(language: Language, text: str, expected: bool) -> None:
    assert echoes(language.context(text)[1:], language.text) == expected


@given(st.lists(st.integers(), unique=True))
def test_what_never_comes_twice_is_no_loop(tokens: list[int]) -> None:
    assert not repeats(tokens)


def test_the_whole_context_comes_before_higher_temperatures() -> None:
    tried = [rung := Rung()]
    while (following := next_rung(rung, job())) is not None:
        tried.append(rung := following)
    assert tried[0] == Rung(0.0, full=False)
    assert tried[1:] == [Rung(temperature, full=True) for temperature in LADDER]
    assert [rung.temperature for rung in tried if not prompted(rung, job())] == [0.6, 0.8, 1.0]


def test_a_temperature_that_is_asked_for_is_kept() -> None:
    asked = job(0.3)
    again = next_rung(Rung(0.3), asked)
    assert again == Rung(0.3, full=True)
    assert next_rung(again, asked) is None
    assert prompted(Rung(0.9), job(0.9))


@pytest.mark.parametrize(
    "flaw", [{"ended": False}, {"until": None}, {"echoes": True}, {"since": 6.0}, {"text": "..."}]
)
def test_what_was_turned_down_is_not_the_best(flaw: dict[str, object]) -> None:
    guess, flawed = attempt(avg_logprob=-1.2, rung=WHOLE), attempt(avg_logprob=-0.1, **{"text": TEXT} | flaw)
    assert best([flawed, guess]) is guess
    assert best([flawed]) is flawed


def test_the_best_of_bad_attempts_is_the_likeliest_that_is_no_loop() -> None:
    guess, wilder = attempt(avg_logprob=-1.2), attempt(avg_logprob=-1.9)
    packed = attempt(LOOP, avg_logprob=-0.1)
    looped = attempt(tokens=[7] * 10, avg_logprob=-0.2)
    assert best([wilder, packed, guess, looped]) is guess
    assert best([looped, packed]) is packed
    assert best([wilder]) is wilder
