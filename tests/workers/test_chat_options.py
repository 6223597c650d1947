"""The body of `/completion`: what is refused, and what OpenVINO is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.errors import ContextLengthExceeded, InvalidRequest
from antiphon.grammar.calls import BEGIN, grammar
from antiphon.values import Function
from antiphon.workers.chat import options
from antiphon.workers.chat.options import Completion

ENDS = frozenset({2, 0})


def read(**given: Any) -> Completion:
    body = json.dumps({"prompt": [1, 2], "n_predict": 3, **given}).encode()
    return options.read(body, context=16, vocabulary=100)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"n_predict": 0}, "n_predict"),
        ({"stop": "x"}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"seed": -1}, "seed"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [100]}, "prompt"),
        ({"prompt": "text"}, "prompt"),
        ({"stream": False}, "stream"),
        ({"logit_bias": [[1, 1.0]]}, "logit_bias"),
        ({"n_probs": 1}, "n_probs"),
        ({"grammar_lazy": True, "grammar": 'root ::= "x"'}, "grammar_triggers"),
        ({"grammar_triggers": [{"type": 1, "value": "x"}]}, "grammar_triggers"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(**given)
    assert refusal.value.param == param


def test_nothing_of_a_body_is_quoted() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        options.read(b'{"prompt": ["a secret"]}', context=16, vocabulary=100)
    assert "secret" not in refusal.value.message
    with pytest.raises(InvalidRequest):
        options.read(b"\xff", context=16, vocabulary=100)


def test_prompt_and_answer_fit_into_the_context() -> None:
    assert read(n_predict=14)
    with pytest.raises(ContextLengthExceeded):
        read(n_predict=15)


def test_sampling() -> None:
    told = options.generation(read(temperature=0.5, top_p=0.9, seed=7, frequency_penalty=1), ENDS)
    assert told["do_sample"] and told["temperature"] == 0.5 and told["top_p"] == 0.9
    assert told["rng_seed"] == 7 and told["frequency_penalty"] == 1 and told["presence_penalty"] == 0
    assert told["max_new_tokens"] == 3 and told["stop_token_ids"] == {0, 2}


def test_temperature_zero_is_greedy() -> None:
    told = options.generation(read(temperature=0), ENDS)
    assert not told["do_sample"] and "temperature" not in told


def test_no_share_is_the_smallest_share() -> None:
    assert 0 < options.generation(read(top_p=0), ENDS)["top_p"] < 1e-3


def test_without_a_seed_answers_differ() -> None:
    assert len({options.generation(read(), ENDS)["rng_seed"] for _ in range(20)}) > 10


def test_a_grammar_is_told_as_it_is() -> None:
    assert options.grammar(read()) == ""
    assert options.grammar(read(grammar='root ::= "x"\n')) == 'root ::= "x"\n'


def test_a_lazy_grammar_begins_behind_its_trigger() -> None:
    made = grammar([Function(name="now")]).gbnf()
    asked = read(grammar=made, grammar_lazy=True, grammar_triggers=[{"type": 1, "value": BEGIN}])
    first, second, *_ = options.grammar(asked).split("\n")
    assert first == f'root ::= TagDispatch(("{BEGIN}", after_trigger), loop_after_dispatch=false)'
    assert second.startswith('after_trigger ::= "')
    assert made.split("\n")[0] == second.replace('after_trigger ::= "', f'root ::= "{BEGIN}')
