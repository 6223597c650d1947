"""How alike, how fast and how dear answers are: figures against figures that are known."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.cli import comparison
from antiphon.cli.comparison import (
    Answer,
    Compared,
    Failure,
    Named,
    Outcome,
    Pair,
    Spread,
    Summary,
    compared,
    most_different,
    side,
    similarity,
    spread,
    summary,
)
from antiphon.cli.prompts import Prompt
from antiphon.values import Price

PRICE = Price(since=date(2023, 3, 1), input=2_000_000, cached_input=1_000_000, output=4_000_000)
A = Named(model="a", snapshot="a-2024-01-01", price=PRICE)
B = Named(model="b", snapshot="b-2024-01-01", price=None)

words = st.text("ab ,é東\n", max_size=60)


def answer(text: str = "Hello you", **said: Any) -> Answer:
    defaults: dict[str, Any] = {
        "finish_reason": "stop",
        "first_token_seconds": 0.5,
        "seconds": 2.0,
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 6,
    }
    return Answer(text=text, **defaults | said)


def pair(number: int, a: Outcome, b: Outcome) -> Pair:
    return Pair(Prompt(f"line {number}", {"messages": []}), a, b)


def told(*outcomes: tuple[Outcome, Outcome], prompts: int = 0) -> tuple[Summary, list[Compared]]:
    found = compared(pair(number, *both) for number, both in enumerate(outcomes, 1))
    return summary(found, A, B, prompts=prompts or len(outcomes)), found


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        ("", "", 1.0),
        ("", "word", 0.0),
        ("one two", "three four", 0.0),
        ("one  two\n", "one two", 1.0),
        ("one two three four", "one two four three", 0.75),
        ("one two", "one", 2 / 3),
        ("Yes.", "Yes!", 0.5),
        ("東京都", "京都", 0.8),
    ],
)
def test_similarity(a: str, b: str, alike: float) -> None:
    assert similarity(a, b) == pytest.approx(alike)


@given(words, words)
def test_similarity_is_a_share_and_full_for_the_same(a: str, b: str) -> None:
    assert 0 <= similarity(a, b) <= 1
    assert similarity(a, a) == 1
    assert similarity(a + " z", b + " z") >= similarity(a, b)


def test_long_answers_are_compared_in_time() -> None:
    text = "so it goes on and on, " * 5000
    assert similarity(text, text + "until the end") > 0.99
    far = similarity("start " + "a b " * 20_000 + "end", "begin " + "b c " * 20_000 + "stop")
    assert far < 2 * comparison.WORDS / 40_000


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
@settings(deadline=None)
def test_percentiles_are_those_of_numpy(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert [found.p50, found.p95] == pytest.approx(list(np.percentile(values, [50, 95])))
    assert spread([]) is None


def test_figures_of_a_side() -> None:
    outcomes = [
        answer(seconds=1.0, completion_tokens=10, first_token_seconds=0.25),
        answer(seconds=3.0, completion_tokens=30, finish_reason="length"),
        answer("", first_token_seconds=None, completion_tokens=0, seconds=1.0),
        Failure("Slowly."),
        Failure("Slowly."),
        Failure("No."),
        None,
    ]
    found = side(A, outcomes)
    assert (found.answered, found.failed, found.failures) == (3, 3, {"Slowly.": 2, "No.": 1})
    assert found.finish_reasons == {"stop": 2, "length": 1}
    assert found.cut_by_length == pytest.approx(1 / 3)
    assert (found.median_answer_tokens, found.tokens_per_second) == (10, 8.0)
    assert found.first_token_seconds == Spread(0.375, pytest.approx(0.4875))
    assert found.seconds is not None and found.seconds.p50 == 1.0
    # 6 of 10 tokens of a prompt are new, 4 come from a cache.
    spent = 3 * (6 * 2000 + 4 * 1000) + 40 * 4000
    assert (found.cost, found.cost_of_1000_requests) == ("0.000208", "0.069333333")
    assert spent == 208_000 and found.cost_unknown is None


def test_a_side_without_answers_has_no_figures() -> None:
    found = side(A, [Failure("No."), None])
    assert (found.cut_by_length, found.median_answer_tokens, found.tokens_per_second) == (None, None, None)
    assert (found.first_token_seconds, found.seconds, found.cost_of_1000_requests) == (None, None, None)
    assert found.cost == "0"


def test_without_a_price_there_is_a_reason() -> None:
    found = side(B, [answer()])
    assert (found.cost, found.cost_of_1000_requests) == (None, None)
    assert found.cost_unknown == "no snapshot 'b-2024-01-01' is in the catalogue here"


def test_what_two_models_have_in_common() -> None:
    whole, found = told(
        (answer("one two"), answer("one two")),
        (answer("one two"), answer("one three")),
        (answer("one two"), Failure("No.")),
        (None, answer("one two")),
    )
    assert (whole.prompts, whole.compared, whole.identical, whole.identical_share) == (4, 2, 1, 0.5)
    assert whole.mean_similarity == 0.75
    assert [(one.identical, one.similarity) for one in found] == [
        (True, 1.0),
        (False, 0.5),
        (None, None),
        (None, None),
    ]
    assert (whole.a.answered, whole.a.failed, whole.b.answered, whole.b.failed) == (3, 0, 3, 1)


def test_nothing_in_common_is_no_share() -> None:
    whole, _ = told((answer(), None))
    assert (whole.compared, whole.identical_share, whole.mean_similarity) == (0, None, None)


def test_whole_is_every_prompt_answered_by_both() -> None:
    both = (answer(), answer())
    assert told(both, both)[0].whole
    assert not told(both, both, prompts=3)[0].whole
    assert not told(both, (answer(), Failure("No.")))[0].whole


def test_white_space_and_calls_make_answers_differ() -> None:
    call = answer("", calls=('f({"a":1})',))
    _, found = told((answer("one "), answer("one")), (call, call), (call, answer("", calls=('f({"a":2})',))))
    assert [one.identical for one in found] == [False, True, False]
    assert found[0].similarity == 1.0 and found[2].similarity is not None and 0.5 < found[2].similarity < 1


def test_the_most_different_come_first() -> None:
    texts = ["one two", "one three", "four five", "one two three", "one  two", "six seven"]
    _, found = told(*((answer("one two"), answer(text)) for text in texts), (answer(), Failure("No.")))
    assert [one.prompt.id for one in most_different(found, 9)] == [f"line {n}" for n in (3, 6, 2, 4, 5)]
    assert [one.prompt.id for one in most_different(found, 1)] == ["line 3"]
    assert most_different(found, 0) == []
