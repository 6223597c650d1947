"""Prompts on two models: turns, failures, waits, and what is left when it is broken off."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from antiphon.cli import replay as replaying
from antiphon.cli.client import Chunk, Client
from antiphon.cli.comparison import Answer, Failure
from antiphon.cli.output import CommandFailed
from antiphon.cli.prompts import Prompt
from antiphon.cli.replay import Heard, Replay
from fake_api import Api, Exchange, sse
from until import until

END = (
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 3},
        },
    },
)


def prompts(number: int) -> list[Prompt]:
    return [Prompt(f"line {n}", {"messages": [{"role": "user", "content": f"{n}"}]}) for n in range(number)]


def answers(api: Api, decide: Callable[[Exchange, Any], bool] = lambda exchange, body: False) -> None:
    """Answer each prompt with the model and the prompt's text, unless `decide` has answered."""

    def answer(exchange: Exchange) -> None:
        body = json.loads(exchange.body())
        api.bodies.append(body)
        if not decide(exchange, body):
            stream(exchange, f"{body['model']} {body['messages'][0]['content']}", *END)

    api.answer = answer


def stream(exchange: Exchange, *frames: Any) -> None:
    exchange.stream()
    for frame in frames:
        exchange.send(sse(frame))
    exchange.send(b"data: [DONE]\n\n")


def run(api: Api, number: int, concurrency: int = 1) -> Replay:
    replay = Replay(Client(api.url, "k"), ("a", "b"), prompts(number))
    asyncio.run(replay.run(concurrency))
    return replay


def test_both_get_the_same_and_take_turns(api: Api) -> None:
    answers(api)
    replay = run(api, 3)
    assert [(body["model"], body["messages"][0]["content"]) for body in api.bodies] == [
        ("a", "0"),
        ("b", "0"),
        ("b", "1"),
        ("a", "1"),
        ("a", "2"),
        ("b", "2"),
    ]
    assert api.bodies[0] == {**api.bodies[1], "model": "a"}
    assert api.bodies[0]["stream"] is True and api.bodies[0]["stream_options"] == {"include_usage": True}
    said = [(pair.prompt.id, pair.a, pair.b) for pair in replay.pairs]
    assert [(id, a.text, b.text) for id, a, b in said if isinstance(a, Answer) and isinstance(b, Answer)] == [
        ("line 0", "a 0", "b 0"),
        ("line 1", "a 1", "b 1"),
        ("line 2", "a 2", "b 2"),
    ]
    assert (replay.done, replay.failed, replay.waiting) == (6, 0, 0)


def test_what_an_answer_used_and_took(api: Api) -> None:
    answers(api)
    found = run(api, 1).pairs[0].a
    assert isinstance(found, Answer)
    assert (found.prompt_tokens, found.cached_tokens, found.completion_tokens) == (5, 3, 2)
    assert found.first_token_seconds is not None and 0 < found.first_token_seconds <= found.seconds < 30


def test_no_more_requests_at_once_than_wished(api: Api) -> None:
    lock, running, most = threading.Lock(), 0, 0
    three = threading.Barrier(3)

    def decide(exchange: Exchange, body: Any) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        three.wait(30)
        with lock:
            running -= 1
        return False

    answers(api, decide)
    assert run(api, 6, concurrency=3).done == 12 and most == 3


def test_failures_are_counted_and_the_rest_goes_on(api: Api) -> None:
    def decide(exchange: Exchange, body: Any) -> bool:
        match body["model"], body["messages"][0]["content"]:
            case "a", "0":
                exchange.error(500, "The engine broke off.")
            case "b", "1":
                stream(exchange, "Half", {"error": {"message": "Broken off midway."}})
            case "b", "2":
                exchange.stream()
                exchange.send(sse("Half"))
            case "a", "3":
                stream(exchange, "No usage", END[0])
            case _:
                return False
        return True

    answers(api, decide)
    replay = run(api, 5, concurrency=2)
    failures = [
        (pair.prompt.id, found.error)
        for pair in replay.pairs
        for found in (pair.a, pair.b)
        if isinstance(found, Failure)
    ]
    assert failures == [
        ("line 0", "The engine broke off."),
        ("line 1", "Broken off midway."),
        ("line 2", "the server broke off before the end of the answer"),
        ("line 3", "the server did not say why the answer ended, or what it used"),
    ]
    assert (replay.done, replay.failed) == (10, 4)


@pytest.mark.parametrize(
    ("status", "header"), [(429, {"retry-after-ms": "20", "Retry-After": "60"}), (503, {"Retry-After": "0"})]
)
def test_a_server_that_says_when_to_come_back_is_asked_again(
    api: Api, status: int, header: dict[str, str]
) -> None:
    refused: list[str] = []

    def decide(exchange: Exchange, body: Any) -> bool:
        if len(refused) == 2:
            return False
        refused.append(body["model"])
        exchange.error(status, "Slowly.", **header)
        return True

    answers(api, decide)
    replay = run(api, 1)
    assert (replay.done, replay.failed, replay.waiting) == (2, 0, 0)
    assert [body["model"] for body in api.bodies] == ["a", "a", "a", "b"]
    found = replay.pairs[0].a
    assert isinstance(found, Answer) and found.text == "a 0"


@pytest.mark.parametrize(
    ("status", "header", "asked"),
    [
        (429, {}, 1),
        (429, {"Retry-After": "Fri, 27 Nov 2026 11:00:00 GMT"}, 1),
        (429, {"Retry-After": "3600"}, 1),
        (429, {"retry-after-ms": "100"}, 3),
        (400, {"Retry-After": "1"}, 1),
    ],
)
def test_waiting_has_a_bound(
    api: Api, monkeypatch: pytest.MonkeyPatch, status: int, header: dict[str, str], asked: int
) -> None:
    monkeypatch.setattr(replaying, "WAIT_SECONDS", 0.25)

    def decide(exchange: Exchange, body: Any) -> bool:
        if body["model"] == "a":
            exchange.error(status, "Slowly.", **header)
        return body["model"] == "a"

    answers(api, decide)
    replay = run(api, 1)
    assert replay.pairs[0].a == Failure("Slowly.") and isinstance(replay.pairs[0].b, Answer)
    assert [body["model"] for body in api.bodies] == ["a"] * asked + ["b"]


async def test_what_is_known_stays_when_it_is_broken_off(api: Api) -> None:
    hung_up, waiting = threading.Event(), threading.Event()

    def decide(exchange: Exchange, body: Any) -> bool:
        if body["messages"][0]["content"] != "1":
            return False
        waiting.set()
        exchange.stream()
        try:
            while not hung_up.wait(0.01):
                exchange.send(sse("…"))
        except ConnectionError:
            hung_up.set()
        return True

    answers(api, decide)
    replay = Replay(Client(api.url, "k"), ("a", "b"), prompts(3))
    task = asyncio.create_task(replay.run(1))
    await until(waiting.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [pair] = replay.pairs
    assert pair.prompt.id == "line 0" and isinstance(pair.a, Answer) and isinstance(pair.b, Answer)
    await until(hung_up.is_set)


def heard(*chunks: dict[str, Any]) -> Heard:
    """An answer of which every chunk comes a second after the one before."""
    clock = iter(range(100))
    found = Heard(lambda: next(clock))
    for chunk in chunks:
        found.take(msgspec.convert(chunk, Chunk))
    return found


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def test_the_first_token_is_the_first_text_or_call() -> None:
    text = heard(delta(role="assistant", content=""), delta(content="Hi"), delta(content="!"), *END).whole()
    assert (text.text, text.first_token_seconds, text.seconds) == ("Hi!", 2, 5)
    function = {"name": "f", "arguments": ""}
    call = heard(delta(tool_calls=[{"index": 0, "id": "x", "function": function}]), *END).whole()
    assert (call.calls, call.first_token_seconds) == (("f()",), 1)
    assert heard(delta(role="assistant"), *END).whole().first_token_seconds is None


def test_calls_are_put_together() -> None:
    first = {"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}
    second = {"index": 1, "id": "y", "function": {"name": "g", "arguments": "{}"}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"a"', ":1}")]
    chunks = [delta(tool_calls=[call]) for call in (first, pieces[0], second, pieces[1])]
    assert heard(*chunks, *END).whole().calls == ('f({"a":1})', "g({})")


def test_the_call_of_2023_is_a_call() -> None:
    chunks = [delta(function_call={"name": "f"}), delta(function_call={"arguments": "{}"})]
    assert heard(*chunks, *END).whole().calls == ("f({})",)


@pytest.mark.parametrize("chunks", [(), END[:1], END[1:]])
def test_an_answer_without_its_end_is_none(chunks: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(CommandFailed, match="did not say"):
        heard(delta(content="Hi"), *chunks).whole()
