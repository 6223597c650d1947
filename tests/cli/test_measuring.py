"""Prompts of a wanted length, and the wait for engines of another load, against a scripted server."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.cli import measuring
from antiphon.cli.client import Client
from antiphon.cli.measuring import Asker, fitted, means, until_sized
from antiphon.cli.output import CommandFailed
from antiphon.ledger.workload import Shape
from fake_api import Api, Exchange, sse

CONTEXT = 2000
NAME = "model@dedicated_1"


def count(content: str) -> int:
    """A tokenizer: three tokens for every two words, and seven around them."""
    return 7 + len(content.split()) * 3 // 2


def chat(api: Api, answered: int = 9) -> None:
    """Render and answer; each answer has so many tokens, or as many as are wanted."""

    def answer(exchange: Exchange) -> None:
        body = json.loads(exchange.body())
        [message] = body["messages"]
        tokens = count(message["content"])
        if exchange.path.endswith("/render"):
            rendered = {"token_count": tokens, "tokens": [0] * tokens, "prompt": ""}
            return exchange.answer(200, json.dumps(rendered).encode())
        api.bodies.append(body)
        exchange.stream()
        exchange.send(sse("word"))
        exchange.send(sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}))
        usage = {"prompt_tokens": tokens, "completion_tokens": min(answered, body["max_tokens"])}
        exchange.send(sse({"choices": [], "usage": usage}))
        exchange.send(b"data: [DONE]\n\n")

    api.answer = answer


@pytest.mark.parametrize("wanted", [100, 333, 1500])
def test_a_prompt_has_about_as_many_tokens_as_wanted(api: Api, wanted: int) -> None:
    chat(api)

    async def run() -> int:
        asker = Asker(Client(api.url, "k"), "model", CONTEXT)
        await asker.learn()
        return (await asker(Shape(wanted, 9))).prompt_tokens

    assert abs(asyncio.run(run()) - wanted) <= 0.01 * wanted + 2
    [body] = api.bodies
    assert (body["model"], body["max_tokens"], body["stream"]) == ("model", 9, True)


def test_no_two_prompts_begin_alike(api: Api) -> None:
    chat(api)

    async def run() -> None:
        asker = Asker(Client(api.url, "k"), "model", CONTEXT)
        await asker.learn()
        for _ in range(3):
            await asker(Shape(60, 9))

    asyncio.run(run())
    beginnings = {" ".join(body["messages"][0]["content"].split()[:5]) for body in api.bodies}
    assert len(beginnings) == 3


def test_an_answer_has_what_was_wanted_beside_what_came(api: Api) -> None:
    chat(api, answered=3)

    async def run() -> measuring.Answered:
        asker = Asker(Client(api.url, "k"), "model", CONTEXT)
        await asker.learn()
        return await asker(Shape(60, 201))

    found = asyncio.run(run())
    assert (found.answer_tokens, found.wanted) == (3, 201) and 0 < found.first <= found.seconds


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 5000))
def test_what_is_asked_fits_into_the_context(prompt: int, answer: int, context: int) -> None:
    found = fitted(Shape(prompt, answer), context)
    assert 1 <= found.prompt <= prompt and 1 <= found.answer <= answer
    assert found.prompt + found.answer <= context * 15 // 16
    if prompt + answer <= context * 15 // 16:
        assert found == Shape(prompt, answer)


def test_means() -> None:
    assert means([Shape(10, 2), Shape(20, 4)]) == (15.0, 3.0)


def metrics(api: Api, *answers: dict[str, int]) -> None:
    """Each time the next process answers, with the slots that it has; the last again and again."""
    left = list(answers)

    def answer(exchange: Exchange) -> None:
        [(process, slots)] = (left.pop(0) if len(left) > 1 else left[0]).items() or [("", 0)]
        label = f',process="{process}"' if process else ""
        text = (
            "# HELP antiphon_engine_slots x\n# TYPE antiphon_engine_slots gauge\n"
            f'antiphon_engine_slots{{snapshot="{NAME}"{label}}} {float(slots)}\n'
            f'antiphon_engine_slots{{snapshot="other"{label}}} 99.0\n'
        )
        exchange.answer(200, text.encode(), "text/plain")

    api.answer = answer


def sized(api: Api, load: int, replicas: int = 1, seconds: float = 10.0) -> None:
    asyncio.run(until_sized(Client(api.url, "k"), NAME, load, replicas, seconds))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
def test_one_process_has_all_places(api: Api) -> None:
    metrics(api, {"": 0}, {"": 4}, {"": 16})
    sized(api, 8, replicas=2)
    assert api.paths == ["/metrics"] * 3


@pytest.mark.usefixtures("quick")
def test_of_several_processes_each_has_its_part(api: Api) -> None:
    metrics(api, {"0": 2}, {"1": 2}, {"0": 4}, {"0": 4}, {"1": 4})
    sized(api, 8)
    assert len(api.paths) == 5, "not before the second has it, too"


@pytest.mark.usefixtures("quick")
def test_engines_that_do_not_come_are_not_waited_for_for_ever(api: Api) -> None:
    metrics(api, {"": 4})
    with pytest.raises(CommandFailed, match="not ready for a load of 8"):
        sized(api, 8, seconds=0.05)


@pytest.mark.parametrize("content", [b"antiphon_engine_slots{", b"{}x y z"])
def test_what_are_no_metrics(api: Api, content: bytes) -> None:
    api.answer = lambda exchange: exchange.answer(200, content)
    with pytest.raises(CommandFailed, match="not metrics"):
        asyncio.run(Client(api.url, "k").slots(NAME))


def test_what_is_no_rendered_prompt(api: Api) -> None:
    api.answer = lambda exchange: exchange.answer(200, b"{}")
    with pytest.raises(CommandFailed, match="not a rendered prompt"):
        asyncio.run(Client(api.url, "k").token_count({}))
