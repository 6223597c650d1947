"""`/v1/completions` as clients see it: prompts of every kind, numbers of choices, the old shapes, errors."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import EngineFailed
from antiphon.values import ChatJob, Delta, Prompt, TokenLogprob, TopLogprob, Usage
from service import CHAT, ScriptedEngine, serving


def events(body: str) -> list[Any]:
    """The events of a stream; `[DONE]` as that string."""
    lines = [block.removeprefix("data: ") for block in body.split("\n\n") if block]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def token(text: str, logprob: float, spelled: bytes | None = None, *top: TopLogprob) -> TokenLogprob:
    return TokenLogprob(text, logprob, list(text.encode() if spelled is None else spelled), list(top))


def alternative(text: str, logprob: float) -> TopLogprob:
    return TopLogprob(text, logprob, list(text.encode()))


async def test_a_whole_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, headers, body = await service.complete()
    assert status == 200 and headers["x-request-id"].startswith("req_")
    assert body["object"] == "text_completion" and body["id"].startswith("cmpl-")
    assert body["model"] == CHAT
    assert body["choices"] == [{"text": "Hello you", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert (body["usage"]["prompt_tokens"], body["usage"]["total_tokens"]) == (3, 5)
    [job] = service.engine.jobs
    assert (job.max_tokens, job.temperature, job.logprobs, job.messages) == (16, 1.0, False, ())


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Say hello", [Prompt("Say hello", (0, 1))]),
        (["Say hello"], [Prompt("Say hello", (0, 1))]),
        (["Say", "hello you"], [Prompt("Say", (0,)), Prompt("hello you", (0, 1))]),
        ([7, 8], [Prompt("<7><8>", (7, 8))]),
        ([[7, 8], [9]], [Prompt("<7><8>", (7, 8)), Prompt("<9>", (9,))]),
        (None, [Prompt("", ())]),
        ("", [Prompt("", ())]),
    ],
)
async def test_prompts_of_every_kind(tmp_path: Path, sent: Any, read: list[Prompt]) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.complete(prompt=sent)
    assert status == 200 and len(body["choices"]) == len(read)
    assert service.engine.prompts == read
    assert body["usage"]["prompt_tokens"] == 3 * len(read), "what the engine counted, of all prompts"


async def test_no_prompt_at_all_begins_a_document(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, _ = await service.call("POST", "/v1/completions", json={"model": "gpt-3.5-turbo"})
    assert status == 200 and service.engine.prompts == [Prompt("", ())]


@pytest.mark.parametrize("stream", [True, False])
async def test_choices_are_numbered_prompt_by_prompt(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.complete(prompt=["a", "b c"], n=2, echo=True, stream=stream)
    assert status == 200
    found = {index: "" for index in range(4)}
    chunks = events(body)[:-1] if stream else [body]
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        found[choice["index"]] += choice["text"]
    assert found == {0: "aHello you", 1: "aHello you", 2: "b cHello you", 3: "b cHello you"}


@pytest.mark.parametrize("include_usage", [True, False, None])
async def test_a_stream(tmp_path: Path, include_usage: bool | None) -> None:
    options = None if include_usage is None else {"include_usage": include_usage}
    async with serving(tmp_path) as service:
        status, headers, body = await service.complete(stream=True, stream_options=options)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(body)
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert [chunk["choices"] for chunk in chunks][:2] == [
        [{"text": "Hello", "index": 0, "logprobs": None, "finish_reason": None}],
        [{"text": " you", "index": 0, "logprobs": None, "finish_reason": "stop"}],
    ]
    if include_usage:
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] == 2
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
    else:
        assert len(chunks) == 2 and all("usage" not in chunk for chunk in chunks)
    assert all("error" not in chunk for chunk in chunks)


async def spelling(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    """Two tokens that are half a character each, then one that has alternatives."""
    yield Delta(0, "", (token("", -0.1, b"\xc3"),))
    yield Delta(0, "é", (token("", -0.2, b"\xa9"),))
    top = (alternative("l", -0.25), alternative("m", -2.0), alternative("l", -3.0))
    yield Delta(0, "n", (token("n", -4.0, None, *top),), "length")
    yield Usage(prompt_tokens=1, completion_tokens=3)


@pytest.mark.parametrize("stream", [True, False])
async def test_logprobs_in_the_old_shape(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path, ScriptedEngine(spelling)) as service:
        _, _, body = await service.complete(prompt="four", logprobs=3, stream=stream)
    parts = [chunk["choices"][0] for chunk in (events(body)[:-1] if stream else [body])]
    assert "".join(part["text"] for part in parts) == "én"
    told = {name: [one for part in parts for one in part["logprobs"][name]] for name in parts[0]["logprobs"]}
    assert told == {
        "tokens": ["bytes:\\xc3", "bytes:\\xa9", "n"],
        "token_logprobs": [-0.1, -0.2, -4.0],
        "top_logprobs": [{"bytes:\\xc3": -0.1}, {"bytes:\\xa9": -0.2}, {"l": -0.25, "m": -2.0, "n": -4.0}],
        "text_offset": [4, 4, 5],
    }
    assert (service.engine.jobs[0].logprobs, service.engine.jobs[0].top_logprobs) == (True, 3)


async def test_logprobs_of_the_chosen_tokens_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, ScriptedEngine(spelling)) as service:
        _, _, body = await service.complete(logprobs=0)
    logprobs = body["choices"][0]["logprobs"]
    assert logprobs["top_logprobs"] is None and len(logprobs["tokens"]) == 3


async def test_an_answer_of_no_tokens_asks_no_engine(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.complete(prompt=["a", "b c"], max_tokens=0, echo=True)
    assert status == 200 and service.engine.jobs == []
    assert [(c["text"], c["finish_reason"]) for c in body["choices"]] == [("a", "length"), ("b c", "length")]
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (3, 0)


async def test_what_the_engine_is_told(tmp_path: Path) -> None:
    given = {"temperature": 0, "top_p": 0.5, "stop": ["a", ""], "seed": 3, "max_tokens": 7, "user": "u"}
    given |= {"presence_penalty": 1, "frequency_penalty": -1, "logit_bias": {"5": 2}, "suffix": ""}
    async with serving(tmp_path) as service:
        status, _, _ = await service.complete(**given, n=2, best_of=2)
    [job] = service.engine.jobs
    assert status == 200 and (job.temperature, job.top_p, job.stop, job.seed) == (0, 0.5, ("a",), 3)
    assert (job.presence_penalty, job.frequency_penalty, job.logit_bias) == (1, -1, {5: 2})
    assert (job.n, job.max_tokens) == (2, 7)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": ["a", 5]}, "prompt", "invalid_type"),
        ({"prompt": ["a", [5]]}, "prompt", "invalid_type"),
        ({"prompt": [5, [5]]}, "prompt", "invalid_type"),
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": [[]]}, "prompt[0]", "invalid_value"),
        ({"prompt": ["a"] * 33}, "prompt", "invalid_value"),
        ({"prompt": ["a"] * 5, "n": 7}, "prompt", "invalid_value"),
        ({"best_of": 2}, "best_of", "unsupported_parameter"),
        ({"best_of": 1, "n": 2}, "best_of", "unsupported_parameter"),
        ({"echo": True, "logprobs": 0}, "logprobs", "unsupported_parameter"),
        ({"suffix": "x"}, "suffix", "unsupported_parameter"),
        ({"logprobs": 6}, "logprobs", "invalid_value"),
        ({"stream_options": {}}, "stream_options", "invalid_parameter_combination"),
        ({"messages": []}, "messages", "unknown_parameter"),
        ({"model": "whisper-1"}, "model", "unsupported_value"),
    ],
)
async def test_what_is_refused(tmp_path: Path, fields: dict[str, Any], param: str, code: str) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.complete(**fields)
    assert (status, body["error"]["param"], body["error"]["code"]) == (400, param, code)
    assert service.engine.jobs == []


@pytest.mark.parametrize("fields", [{"prompt": ["a", "word " * 8192]}, {"prompt": "a b", "max_tokens": 8191}])
async def test_every_prompt_fits_or_nothing_runs(tmp_path: Path, fields: dict[str, Any]) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.complete(**fields)
    error = body["error"]
    assert (status, error["param"], error["code"]) == (400, "prompt", "context_length_exceeded")
    assert "maximum context length is 8192 tokens" in error["message"]
    numbers = "(8192 in the prompt, 16 in" if "max_tokens" not in fields else "(2 in the prompt, 8191 in"
    assert numbers in error["message"] and service.engine.jobs == []


async def test_an_engine_that_fails_at_one_prompt_fails_the_request(tmp_path: Path) -> None:
    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        raise EngineFailed("The engine broke off.")

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        status, _, whole = await service.complete(prompt=["a", "b"])
        _, _, stream = await service.complete(prompt=["a", "b"], stream=True)
        assert service.engine.running == 0
    assert status == 503 and whole["error"]["code"] == "engine_failed"
    assert events(stream)[-1]["error"]["code"] == "engine_failed" and "[DONE]" not in stream


async def test_the_2023_client_may_name_its_engine_in_the_path(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        path = "/v1/engines/gpt-3.5-turbo/completions"
        status, _, body = await service.call("POST", path, json={"prompt": "Hi"})
    assert status == 200 and (body["model"], body["object"]) == (CHAT, "text_completion")


async def test_a_retry_is_answered_from_the_first(tmp_path: Path) -> None:
    body = {"model": "gpt-3.5-turbo", "prompt": "Hi"}
    async with serving(tmp_path) as service:
        key = {"Idempotency-Key": "one"}
        _, _, first = await service.call("POST", "/v1/completions", json=body, headers=key)
        _, again, second = await service.call("POST", "/v1/completions", json=body, headers=key)
        await service.books.only()
    assert first == second and again["idempotent-replayed"] == "true" and len(service.engine.jobs) == 1
