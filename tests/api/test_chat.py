"""`/v1/chat/completions` as clients see it: shapes, order, errors, and what happens when one goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import EngineFailed
from antiphon.values import (
    ChatJob,
    Delta,
    Feature,
    Function,
    Message,
    Prompt,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from service import CALLER, CHAT, ScriptedEngine, serving

TOOL = {"type": "function", "function": {"name": "now"}}


def events(body: str) -> list[Any]:
    """The events of a stream; `[DONE]` as that string."""
    lines = [block.removeprefix("data: ") for block in body.split("\n\n") if block]
    assert all(block.startswith("data: ") for block in body.split("\n\n") if block)
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_a_whole_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, headers, body = await service.chat()
    assert status == 200
    assert body["object"] == "chat.completion" and body["id"].startswith("chatcmpl-")
    assert body["model"] == CHAT
    [choice] = body["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello you", "refusal": None, "annotations": []},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert body["usage"]["prompt_tokens"] == 3
    assert body["usage"]["total_tokens"] == 5
    assert float(headers["openai-processing-ms"]) >= 0
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-organization"] == "default"
    assert headers["request-id"] == headers["x-request-id"]
    assert headers["x-request-id"].startswith("req_") and len(headers["x-request-id"]) == 36
    assert headers["x-ratelimit-limit-requests"] == "3000"
    assert headers["x-ratelimit-remaining-requests"] == "2999"
    assert headers["x-ratelimit-reset-requests"] == "20ms"


@pytest.mark.parametrize("include_usage", [True, False, None])
async def test_the_order_of_a_stream(tmp_path: Path, include_usage: bool | None) -> None:
    options = None if include_usage is None else {"include_usage": include_usage}
    async with serving(tmp_path) as service:
        status, headers, body = await service.chat(stream=True, stream_options=options, n=2)
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(body)
    assert done == "[DONE]"
    assert len({(c["id"], c["created"], c["model"], c["object"]) for c in chunks}) == 1
    deltas = [(c["choices"][0]["index"], c["choices"][0]["delta"]) for c in chunks if c["choices"]]
    for index in (0, 1):
        mine = [delta for i, delta in deltas if i == index]
        assert mine == [{"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": " you"}, {}]
    ends = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert [e for e in ends if e] == ["stop", "stop"]
    if include_usage:
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] == 4
        assert all(c["usage"] is None for c in chunks[:-1])
    else:
        assert all("usage" not in c for c in chunks)


async def test_no_chunk_has_an_error_key_and_every_choice_has_a_finish_reason(tmp_path: Path) -> None:
    """The client of 2023 fails on any `error` key, others on a missing `finish_reason`."""
    async with serving(tmp_path) as service:
        *chunks, _ = events((await service.chat(stream=True))[2])
    assert all("error" not in c for c in chunks)
    assert all("finish_reason" in choice for c in chunks for choice in c["choices"])


async def test_logprobs(tmp_path: Path) -> None:
    token = TokenLogprob("Hi", -0.5, [72, 105], [TopLogprob("Hi", -0.5, [72, 105])])

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hi", (token,))
        yield Delta(0, "", (), "stop")
        yield Usage(prompt_tokens=1, completion_tokens=1)

    expected = {
        "token": "Hi",
        "logprob": -0.5,
        "bytes": [72, 105],
        "top_logprobs": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}],
    }
    async with serving(tmp_path, ScriptedEngine(script)) as service:
        whole = (await service.chat(logprobs=True, top_logprobs=1))[2]
        *chunks, _ = events((await service.chat(logprobs=True, top_logprobs=1, stream=True))[2])
    assert whole["choices"][0]["logprobs"] == {"content": [expected], "refusal": None}
    assert chunks[1]["choices"][0]["logprobs"] == {"content": [expected], "refusal": None}


async def test_an_engine_that_fails_midway_ends_a_stream_with_an_error_and_without_done(
    tmp_path: Path,
) -> None:
    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        raise EngineFailed("The engine broke off.")

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        status, _, body = await service.chat(stream=True)
        whole_status, headers, whole = await service.chat()
    *chunks, last = events(body)
    assert status == 200 and chunks[1]["choices"][0]["delta"] == {"content": "Hel"}
    assert last["error"] == {
        "message": "The engine broke off.",
        "type": "server_error",
        "param": None,
        "code": "engine_failed",
    }
    assert whole_status == 503 and whole["error"]["code"] == "engine_failed"


async def test_an_engine_that_fails_before_its_first_piece_is_a_plain_error(tmp_path: Path) -> None:
    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        raise EngineFailed("The engine broke off.", retry_after=1)
        yield

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        status, headers, body = await service.chat(stream=True)
    assert status == 503 and body["error"]["code"] == "engine_failed"
    assert headers["retry-after"] == "1" and headers["retry-after-ms"] == "1000"


@pytest.mark.requirement("R15")
async def test_a_bug_shows_nothing_of_the_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        raise ZeroDivisionError(" ".join(["secret", "detail"]))

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        status, _, body = await service.chat()
        _, _, stream = await service.chat(stream=True)
    assert status == 500 and body["error"]["code"] == "internal_error"
    assert "secret" not in json.dumps(body) and "secret" not in stream
    assert "[DONE]" not in stream
    assert "ZeroDivisionError" in caplog.text and "secret detail" not in caplog.text


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_away_ends_the_generation(tmp_path: Path, stream: bool) -> None:
    begun = asyncio.Event()

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        begun.set()
        await asyncio.sleep(3600)

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        asking = asyncio.create_task(service.chat(stream=stream))
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(service.engine.idle.wait(), 5)
        assert service.engine.running == 0


async def test_a_client_that_goes_away_while_it_waits_leaves_the_queue(tmp_path: Path) -> None:
    async with serving(tmp_path, capacity=0) as service:
        asking = asyncio.create_task(service.chat())
        while '"smollm2-135m-instruct-2024-11-01"} 1.0' not in (await service.call("GET", "/metrics"))[2]:
            await asyncio.sleep(0.01)
        asking.cancel()
        while '"smollm2-135m-instruct-2024-11-01"} 1.0' in (await service.call("GET", "/metrics"))[2]:
            await asyncio.sleep(0.01)
        service.pool.resize(1)
        assert service.engine.jobs == []


async def test_the_context_is_never_cut_off_silently(tmp_path: Path) -> None:
    long = [{"role": "user", "content": "word " * 8192}]
    async with serving(tmp_path) as service:
        status, _, body = await service.chat(messages=long)
        asked, _, wanted = await service.chat(max_tokens=8191)
        await service.chat()
    assert status == 400 and body["error"]["code"] == "context_length_exceeded"
    assert body["error"]["param"] == "messages"
    assert "maximum context length is 8192 tokens" in body["error"]["message"]
    assert asked == 400 and "8191 in the completion" in wanted["error"]["message"]
    assert service.engine.jobs[-1].max_tokens == 8190


async def test_the_2023_client_may_name_its_engine_in_the_path(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.call(
            "POST",
            "/v1/engines/gpt-3.5-turbo/chat/completions",
            json={"messages": [{"role": "user", "content": "Hi"}]},
        )
    assert status == 200 and body["model"] == CHAT


async def test_render(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.call(
            "POST",
            "/v1/chat/completions/render",
            json={"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Say hello"}]},
        )
    assert status == 200
    assert body == {
        "object": "chat.completion.prompt",
        "model": CHAT,
        "prompt": "Say hello",
        "token_count": 2,
        "tokens": [0, 1],
    }


async def test_render_is_told_the_functions_that_a_completion_is(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []

    class Noting(ScriptedEngine):
        async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
            told.append(tuple(one.name for one in functions))
            return await super().prepare(messages, functions)

    asked = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hi"}], "tools": [TOOL]}
    async with serving(tmp_path, Noting()) as service:
        for more in ({}, {"response_format": {"type": "json_object"}}, {"tool_choice": "none"}):
            for path in ("", "/render"):
                sent = {**asked, **more}
                assert (await service.call("POST", f"/v1/chat/completions{path}", json=sent))[0] == 200
        wrong = {**asked, "tool_choice": {"type": "function", "function": {"name": "none"}}}
        status, _, body = await service.call("POST", "/v1/chat/completions/render", json=wrong)
        assert (status, body["error"]["param"]) == (400, "tool_choice")
    assert told == [("now",)] * 4 + [()] * 2


async def test_models_are_not_interchangeable(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        wrong_task, _, body = await service.chat(model="whisper-1")
        missing, _, unknown = await service.chat(model="gpt-4")
    assert wrong_task == 400 and body["error"]["param"] == "model"
    assert missing == 404 and unknown["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("cannot", "asked", "parameter"),
    [
        ("logit_bias", {"logit_bias": {"5": 1}}, "logit_bias"),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 2}, "top_logprobs"),
        ("grammar", {"response_format": {"type": "json_object"}}, "response_format"),
        ("lazy_grammar", {"tools": [TOOL]}, "tools"),
        ("grammar", {"tools": [TOOL], "tool_choice": "required"}, "tools"),
    ],
)
async def test_what_no_engine_of_the_snapshot_can_do_is_refused_by_name(
    tmp_path: Path, cannot: Feature, asked: dict[str, Any], parameter: str
) -> None:
    engine = ScriptedEngine()
    engine.cannot = frozenset({cannot})
    async with serving(tmp_path, engine) as service:
        status, _, body = await service.chat(**asked)
        assert (status, body["error"]["param"]) == (400, parameter)
        assert body["error"]["code"] == "unsupported_parameter"
        assert (await service.chat())[0] == 200
    assert len(engine.jobs) == 1


async def test_an_engine_is_told_whose_a_prompt_is(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with serving(tmp_path, engine) as service:
        await service.chat()
    [job] = engine.jobs
    assert job.organization == CALLER.tenant != CALLER.organization_id
