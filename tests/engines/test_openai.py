"""Chat at a URL, against a real HTTP server: what it is told, what is made of its answers, and its faults."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.engines import http, kinds, openai
from antiphon.engines.openai import ENGINE, OpenAIEngine
from antiphon.errors import (
    ConfigurationError,
    EngineFailed,
    EngineRefused,
    InvalidRequest,
    UnsupportedParameter,
)
from antiphon.settings import Settings
from antiphon.values import CallDelta, Delta, Form, Function, Message, Usage, Wish
from chat_engines import answer, job, text
from fake_openai import FAULTS, KEY, MODEL, FakeOpenAI, address, certificate, deployment, served
from until import until

Opened = Callable[..., AbstractAsyncContextManager[OpenAIEngine]]
NOW = Function(name="now")
CALL = Form("root ::= whatever", wish=Wish(functions=("now",), must=True))


@asynccontextmanager
async def opened(fake: FakeOpenAI, **given: Any) -> AsyncIterator[OpenAIEngine]:
    """A client of a server that was found well."""
    async with served(fake) as port:
        engine = OpenAIEngine(deployment(**given), address(port))
        try:
            await engine.probe()
            yield engine
        finally:
            await engine.close()


def test_it_is_found_and_launches_nothing() -> None:
    assert kinds()["openai"] is ENGINE
    with pytest.raises(AssertionError):
        ENGINE.command([], Settings(), address(1))


@pytest.mark.parametrize("owner", ["someone", "vllm", "sglang", "llamacpp"])
async def test_an_answer(owner: str) -> None:
    fake = FakeOpenAI(owner)
    async with opened(fake) as engine:
        deltas, usage = await answer(engine, job())
    assert text(deltas) == " word0 word1 word2 word3 word4" and deltas[-1].finish_reason == "stop"
    assert all(delta.finish_reason is None for delta in deltas[:-1])
    counts = [delta.completion_tokens for delta in deltas]
    assert counts == sorted(counts) and counts[0] >= 1 and counts[-1] == 5 == usage.completion_tokens
    [body] = fake.bodies
    assert usage.prompt_tokens == 63 and usage.cached_tokens == 1
    assert body["model"] == MODEL and body["stream"] is True and body["stream_options"]["include_usage"]


@pytest.mark.parametrize("owner", ["someone", "vllm", "llamacpp"])
async def test_an_answer_whose_usage_nobody_tells_is_counted_here(owner: str) -> None:
    fake = FakeOpenAI(owner)
    fake.tells_usage = False
    async with opened(fake) as engine:
        asked = job()
        prompt = await engine.prepare(asked.messages)
        deltas, usage = await answer(engine, asked)
    assert text(deltas) == " word0 word1 word2 word3 word4" and prompt.length > 0
    assert usage == Usage(prompt_tokens=prompt.length, completion_tokens=5)


@pytest.mark.requirement("R5")
async def test_only_what_was_asked_is_said() -> None:
    fake = FakeOpenAI()
    async with opened(fake) as engine:
        await answer(engine, job(organization="org_1"))
    assert fake.bodies == [
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.0,
            "top_p": 1.0,
            "max_tokens": 20,
        }
    ]


async def test_several_choices_are_requests_of_their_own() -> None:
    fake = FakeOpenAI()
    async with opened(fake) as engine:
        deltas, usage = await answer(engine, job(n=3, seed=2**63 - 1, max_tokens=2))
    assert [text(deltas, index) for index in range(3)] == [" word0 word1"] * 3
    assert usage.completion_tokens == 6 and usage.prompt_tokens == 63
    assert sorted(body["seed"] for body in fake.bodies) == [0, 1, 2**63 - 1]
    assert sum(delta.finish_reason == "length" for delta in deltas) == 3


async def test_log_probabilities() -> None:
    async with opened(FakeOpenAI()) as engine:
        deltas, _ = await answer(engine, job(logprobs=True, top_logprobs=2))
    tokens = [token for delta in deltas for token in delta.logprobs]
    assert [token.token for token in tokens] == [f" word{n}" for n in range(5)]
    assert tokens[0].logprob == -0.5 and [one.token for one in tokens[0].top_logprobs] == [" word0", "x"]


async def test_calls_are_told_as_calls() -> None:
    fake = FakeOpenAI()
    fake.call = {"name": "now", "arguments": '{"zone": "utc"}'}
    async with opened(fake) as engine:
        deltas, usage = await answer(engine, job(functions=(NOW,), form=CALL))
    calls = [call for delta in deltas for call in delta.calls]
    assert calls[0] == CallDelta(0, "call_1", "now")
    assert "".join(call.arguments for call in calls) == '{"zone": "utc"}' and not calls[-1].name
    assert deltas[-1].finish_reason == "tool_calls" and usage.completion_tokens == 3


@pytest.mark.requirement("R25")
@pytest.mark.parametrize(
    ("owner", "said"),
    [
        ("vllm", {"cache_salt": "org_1"}),
        ("sglang", {"cache_salt": "org_1"}),
        ("llamacpp", {"cache_prompt": False, "timings_per_token": True}),
    ],
)  # fmt: skip
async def test_what_is_kept_is_kept_apart_where_that_can_be_said(owner: str, said: dict[str, Any]) -> None:
    fake = FakeOpenAI(owner)
    async with opened(fake) as engine:
        await answer(engine, job(organization="org_1"))
        await answer(engine, job(organization="org_1", seed=1))
    first, seeded = fake.bodies
    assert first.items() >= said.items()
    assert "cache_salt" not in said or len(seeded["cache_salt"]) == 32


async def test_prompts_are_counted_where_they_are_read() -> None:
    asked = job()
    for owner, more in (("vllm", {}), ("llamacpp", {}), ("someone", {"stand_in": False})):
        fake = FakeOpenAI(owner, **more)
        async with opened(fake) as engine:
            prompt = await engine.prepare(asked.messages)
        length = len(asked.messages[0].content) if owner == "llamacpp" else 71
        assert prompt.counted and prompt.length == prompt.longest == length, owner
        assert not fake.bodies


@pytest.mark.parametrize("owner", ["someone", "sglang", "vllm"])
async def test_prompts_that_nobody_counts_have_a_bound(owner: str) -> None:
    fake = FakeOpenAI(owner)
    fake.missing.add("/tokenize")
    long = Message(role="user", content="é" * 1000)
    async with opened(fake) as engine:
        prompt = await engine.prepare([long], [NOW])
        huge = await engine.prepare([long] * 20)
    assert not prompt.counted and 2000 < prompt.longest < 2600 and 500 < prompt.length < 700
    assert huge.longest == 8192, "no more than the model reads"


async def test_prompts_without_a_conversation_are_refused() -> None:
    async with opened(FakeOpenAI()) as engine:
        with pytest.raises(UnsupportedParameter) as refusal:
            await engine.tokenize(["Once upon"])
    assert refusal.value.param == "model"


@pytest.mark.parametrize(
    "said",
    [
        {"code": "context_length_exceeded", "message": "secret"},
        {
            "code": 400,
            "message": "This model's maximum context length is 4096 tokens. However, you requested",
        },
        {"code": 400, "type": "exceed_context_size_error", "message": "request (9) exceeds", "n_ctx": 4},
        {
            "code": 400,
            "message": "The input (9 tokens) is longer than the model's context length (4 tokens).",
        },
    ],
)
async def test_a_prompt_that_is_too_long_is_said_to_be(said: dict[str, Any]) -> None:
    fake = FakeOpenAI()
    fake.status, fake.refusal = 400, {"error": said}
    async with opened(fake) as engine:
        with pytest.raises(InvalidRequest) as refusal:
            await answer(engine, job())
    assert (refusal.value.param, refusal.value.code) == ("messages", "context_length_exceeded")
    assert "secret" not in refusal.value.message and "4096" not in refusal.value.message


@pytest.mark.parametrize("status", [400, 422])
async def test_a_request_at_fault_is_the_clients(status: int) -> None:
    fake = FakeOpenAI()
    fake.status = status
    async with opened(fake) as engine:
        for asked, param in (
            (job(), None),
            (job(functions=(NOW,), form=CALL), "tools"),
            (job(form=Form("x", wish=Wish(schema={}))), "response_format"),
        ):
            with pytest.raises(InvalidRequest) as refusal:
                await answer(engine, asked)
            assert refusal.value.param == param and "secret" not in refusal.value.message


@pytest.mark.fault("an upstream answers 500 or 429")
@pytest.mark.parametrize("status", [401, 403, 404, 302, 429, 500, 503])
async def test_every_other_refusal_is_a_failure(status: int, caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeOpenAI()
    async with opened(fake) as engine:
        fake.status = status
        with caplog.at_level(logging.ERROR), pytest.raises(EngineFailed) as failure:
            await answer(engine, job())
    assert not isinstance(failure.value, EngineRefused) and "secret" not in failure.value.message
    assert bool(caplog.records) == (status in (401, 403, 404)), "the operator is told of what is theirs"
    assert "secret" not in caplog.text and KEY not in caplog.text


@pytest.mark.requirement("R5")
async def test_redirects_are_not_followed() -> None:
    fake, other = FakeOpenAI(), FakeOpenAI()
    async with opened(fake) as engine, served(other) as port:
        fake.location = f"http://127.0.0.1:{port}/v1/chat/completions"
        with pytest.raises(EngineFailed):
            await answer(engine, job())
        with pytest.raises(EngineFailed):
            await engine.probe()
    assert not other.asked


@pytest.mark.fault("an upstream breaks off: half a frame, garbage, an end without [DONE]")
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("hang", "refusal")])
async def test_what_came_before_a_fault_is_given(fault: str) -> None:
    fake = FakeOpenAI()
    fake.fault = fault
    found: list[Delta | Usage] = []
    async with opened(fake) as engine:
        asked = job()
        prompt = await engine.prepare(asked.messages)
        with pytest.raises(EngineFailed) as failure:
            async with aclosing(engine.chat(asked, prompt)) as pieces:
                async for piece in pieces:
                    found.append(piece)
    assert "secret" not in failure.value.message
    assert not any(isinstance(piece, Usage) for piece in found)
    said = "".join(piece.text for piece in found if isinstance(piece, Delta))
    assert said.startswith(" word0 word1")


async def test_an_error_event_may_say_that_the_request_is_at_fault() -> None:
    fake = FakeOpenAI()
    fake.fault = "refusal"
    async with opened(fake) as engine:
        with pytest.raises(InvalidRequest):
            await answer(engine, job())


async def test_leaving_early_ends_the_work() -> None:
    fake = FakeOpenAI()
    fake.fault = "hang"
    async with opened(fake) as engine:
        asked = job()
        async with aclosing(engine.chat(asked, await engine.prepare(asked.messages))) as pieces:
            assert isinstance(await anext(pieces), Delta)
            assert fake.running == 1
        await until(lambda: not fake.running)


async def test_closing_breaks_off_what_runs() -> None:
    fake = FakeOpenAI()
    fake.fault = "hang"
    async with opened(fake) as engine:
        asking = asyncio.create_task(answer(engine, job()))
        await until(lambda: fake.running == 1)
        await engine.close()
        with pytest.raises(EngineFailed):
            await asking


async def test_whether_it_is_well_is_asked_where_it_computes() -> None:
    for owner, path in (("vllm", "/health"), ("llamacpp", "/lora-adapters"), ("someone", "/v1/models")):
        fake = FakeOpenAI(owner)
        async with opened(fake) as engine:
            await engine.probe()
        assert fake.asked[-1] == path
    fake = FakeOpenAI("vllm")
    fake.missing.add("/health")
    async with opened(fake) as engine:
        await engine.probe()
    assert fake.asked[-1] == "/v1/models"


@pytest.mark.parametrize("found", ["by a chat", "in time"])
async def test_a_key_that_is_refused_later_is_found(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /health asks for none: by a chat that is refused, or by the list, which is asked for again."""
    monkeypatch.setattr(openai, "LIST_SECONDS", 0.0 if found == "in time" else 60.0)
    fake = FakeOpenAI("vllm")
    async with opened(fake) as engine:
        fake.key = "another"
        if found == "by a chat":
            await engine.probe()
            with pytest.raises(EngineFailed):
                await answer(engine, job())
        with pytest.raises(ConfigurationError, match="401"):
            await engine.probe()
        asked = len(fake.bodies)
        fake.key = KEY
        await answer(engine, job(organization="org_1"))
    assert "cache_salt" in fake.bodies[asked], "what is known of the server is not forgotten meanwhile"


async def test_what_is_not_set_up_is_said_to_the_operator() -> None:
    fake = FakeOpenAI(max_model_len=4096)
    with pytest.raises(ConfigurationError, match="4096"):
        async with opened(fake):
            pass
    fake.listed["id"] = "another"
    with pytest.raises(ConfigurationError, match=MODEL):
        async with opened(fake, context=4096):
            pass
    fake.key = "another"
    with pytest.raises(ConfigurationError, match="401") as refusal:
        async with opened(fake):
            pass
    assert KEY not in refusal.value.message


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make certificates")
async def test_who_does_not_prove_to_be_there_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, key = certificate(tmp_path)
    other, other_key = certificate(tmp_path, "elsewhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours))
    http.trusted.cache_clear()
    try:
        for made, signed, believed in ((ours, key, True), (other, other_key, False)):
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(made, signed)
            fake = FakeOpenAI()
            async with served(fake, tls=context) as port:
                engine = OpenAIEngine(deployment(), address(port, tls=True))
                if believed:
                    assert text((await answer(engine, job()))[0]).startswith(" word0")
                else:
                    with pytest.raises(EngineFailed):
                        await engine.probe()
                await engine.close()
            assert bool(fake.asked) == believed
    finally:
        http.trusted.cache_clear()
