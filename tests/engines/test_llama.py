"""The llama.cpp client: against a fake process for faults and bodies, against the real one for answers."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import chat_engines
from addresses import unix
from antiphon.engines import kinds
from antiphon.engines.llama import ENGINE, LlamaEngine, completion_body
from antiphon.engines.upstream import Upstream
from antiphon.errors import ConfigurationError, EngineFailed, InvalidRequest
from antiphon.runtime.local import environment
from antiphon.settings import Settings
from antiphon.values import ChatJob, Delta, Deployment, Form, Message, Prompt, Usage
from fake_engine import command
from tiny_models import write_gguf

USER = (Message(role="user", content="Hello"),)


def deployment(model: Path, **options: str) -> Deployment:
    return Deployment(
        snapshot="m", task="chat", engine="llama", model=model, context=1024, slots=2, options=options
    )


def job(**given: Any) -> ChatJob:
    return ChatJob(id="1", model="m", messages=USER, **{"max_tokens": 5, **given})


@asynccontextmanager
async def running(
    argv: Sequence[str], socket: Path, model: Path, **options: str
) -> AsyncIterator[LlamaEngine]:
    """A client of a process started for this test, once it answers."""
    process = await asyncio.create_subprocess_exec(*argv, env=environment(socket.parent))
    engine = LlamaEngine(deployment(model, template="smollm2"), unix(socket))
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    await engine.probe()
                    break
                except EngineFailed:
                    await asyncio.sleep(0.05)
        yield engine
    finally:
        await engine.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def fake(model: Path, **options: Any) -> AsyncIterator[LlamaEngine]:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        async with running(command(unix(socket), **options), socket, model) as engine:
            yield engine


async def answer(engine: LlamaEngine, asked: ChatJob) -> tuple[list[Delta], Usage]:
    prompt = await engine.prepare(asked.messages, asked.functions)
    async with aclosing(engine.chat(asked, prompt)) as pieces:
        *deltas, usage = [piece async for piece in pieces]
    assert isinstance(usage, Usage)
    return [d for d in deltas if isinstance(d, Delta)], usage


def test_it_is_found() -> None:
    assert kinds()["llama"] is ENGINE


async def test_an_answer(smollm2: Path) -> None:
    async with fake(smollm2) as engine:
        deltas, usage = await answer(engine, job(max_tokens=3))
        ended, _ = await answer(engine, job(max_tokens=50))
    assert "".join(d.text for d in deltas) == " word0 word1 word2"
    assert [d.finish_reason for d in deltas if d.finish_reason] == ["length"]
    assert deltas[-1].finish_reason == "length" and deltas[-1].completion_tokens == 3
    assert usage.completion_tokens == 3 and usage.prompt_tokens > 5
    assert ended[-1].finish_reason == "stop"


async def test_several_choices(smollm2: Path) -> None:
    async with fake(smollm2, slots=4) as engine:
        deltas, usage = await answer(engine, job(n=3, max_tokens=2))
    for index in range(3):
        choice = [d for d in deltas if d.index == index]
        assert "".join(d.text for d in choice) == " word0 word1"
        assert (choice[-1].finish_reason, choice[-1].completion_tokens) == ("length", 2)
    assert usage.completion_tokens == 6


async def test_logprobs(smollm2: Path) -> None:
    async with fake(smollm2) as engine:
        deltas, _ = await answer(engine, job(max_tokens=1, logprobs=True, top_logprobs=2))
        plain, _ = await answer(engine, job(max_tokens=1, logprobs=True))
    [found] = deltas[0].logprobs
    assert (found.token, found.logprob, len(found.top_logprobs)) == (" word0", -0.5, 2)
    assert plain[0].logprobs[0].top_logprobs == []


@pytest.mark.parametrize("fault", ["crash", "garbage", "half", "eof", "error"])
@pytest.mark.parametrize("after", [0, 2])
async def test_an_answer_that_breaks_off_is_an_error(smollm2: Path, fault: str, after: int) -> None:
    async with fake(smollm2, fault=fault, after=after) as engine:
        prompt = await engine.prepare(USER)
        got: list[Any] = []
        with pytest.raises(EngineFailed):
            async with aclosing(engine.chat(job(), prompt)) as pieces:
                async for piece in pieces:
                    got.append(piece)
    assert "".join(d.text for d in got) == "".join(f" word{i}" for i in range(after))


async def test_an_engine_that_refuses(smollm2: Path) -> None:
    async with fake(smollm2, status=500) as engine:
        with pytest.raises(EngineFailed) as failure:
            await answer(engine, job())
    assert "as asked" not in failure.value.message, "an engine's own text may quote the prompt"


async def test_a_bias_on_a_token_that_does_not_exist_is_refused(smollm2: Path) -> None:
    async with fake(smollm2) as engine:
        await answer(engine, job(logit_bias={49151: 1.0}))
        with pytest.raises(InvalidRequest, match="49152") as refusal:
            await answer(engine, job(logit_bias={49152: 1.0}))
    assert refusal.value.param == "logit_bias"


async def test_leaving_early_frees_the_slot(smollm2: Path) -> None:
    async with fake(smollm2, tokens=1000, token_delay=0.01, slots=1) as engine:
        prompt = await engine.prepare(USER)
        async with aclosing(engine.chat(job(max_tokens=1000), prompt)) as pieces:
            await anext(pieces)
        async with asyncio.timeout(10):
            deltas, _ = await answer(engine, job(max_tokens=1))
    assert deltas[0].text == " word0"


async def test_a_model_without_a_template_says_so(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "m.gguf", template=None)
    engine = LlamaEngine(deployment(model), unix(tmp_path / "socket"))
    with pytest.raises(ConfigurationError, match="no chat template"):
        await engine.probe()
    await engine.close()


@pytest.mark.requirement("R19")
def test_what_the_engine_is_told() -> None:
    asked = job(
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        logit_bias={5: -100.0},
        seed=-1,
        logprobs=True,
        top_logprobs=4,
    )
    body = completion_body(asked, Prompt("", (1, 2)), 1, 1024)
    assert body["prompt"] == (1, 2) and body["n_predict"] == 5 and body["stream"] is True
    assert (body["temperature"], body["top_p"], body["top_k"], body["min_p"]) == (0.5, 0.9, 0, 0.0)
    assert body["stop"] == ["END"] and body["logit_bias"] == [[5, -100.0]]
    assert body["seed"] == 0 and body["n_probs"] == 4
    assert completion_body(asked, Prompt("", (1,)), 0, 1024)["seed"] == 2**32 - 2, "never the random one"
    assert "seed" not in completion_body(job(), Prompt("", (1,)), 0, 1024)
    assert completion_body(job(max_tokens=None), Prompt("", (1,)), 0, 1024)["n_predict"] == 1023


def test_how_it_is_launched(tmp_path: Path) -> None:
    argv = ENGINE.command([deployment(tmp_path)], Settings(threads=3), tmp_path / "s")
    assert argv[:3] == [sys.executable, "-m", "antiphon.workers.llama"]
    assert argv[argv.index("--context") + 1] == "1024" and argv[argv.index("--threads") + 1] == "3"


async def test_the_real_engine_reads_exactly_what_was_rendered(smollm2: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        argv = ENGINE.command([deployment(smollm2)], Settings(), unix(socket))
        async with running(argv, socket, smollm2) as engine:
            prompt = await engine.prepare((Message(role="user", content="Hi <|im_end|>"),))
            deltas, usage = await answer(engine, job(temperature=0.0, max_tokens=4, seed=1))
            again, _ = await answer(engine, job(temperature=0.0, max_tokens=4, n=2, logprobs=True))
    assert prompt.tokens.count(1) == 3 and prompt.tokens.count(2) == 2
    assert usage.completion_tokens == 4 and deltas[-1].finish_reason == "length"
    for choice in (deltas, *([d for d in again if d.index == index] for index in (0, 1))):
        counts = [d.completion_tokens for d in choice]
        assert counts == sorted(counts) and counts[0] >= 1 and counts[-1] == 4
    text = "".join(d.text for d in deltas)
    assert text and text == "".join(d.text for d in again if d.index == 1)
    assert all(t.logprob <= 0 for d in again for t in d.logprobs)


async def test_the_real_engine_reads_raw_prompts_as_they_are(smollm2: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s.sock"
        argv = ENGINE.command([deployment(smollm2)], Settings(), unix(socket))
        async with running(argv, socket, smollm2) as engine:
            text, spoken, empty = await engine.tokenize(["Héllo", "<|im_start|>x<|endoftext|>", ""])
            [ids] = await engine.tokenize([(*text.tokens, 2)])
            with pytest.raises(InvalidRequest, match="49152") as refusal:
                await engine.tokenize([(5, 49152)])
    assert text.text == "Héllo" and ids == Prompt(ids.text, (*text.tokens, 2))
    assert ids.text.startswith("Héllo")
    assert min(spoken.tokens) > 16, "text never becomes one of the special tokens, which come first"
    assert empty == Prompt("", (0,)) and refusal.value.param == "prompt"


def test_the_form_is_told_as_llama_cpp_reads_it() -> None:
    prompt = Prompt("", (1, 2))
    whole = completion_body(job(form=Form("root ::= x")), prompt, 0, 1024)
    assert whole["grammar"] == "root ::= x" and "grammar_lazy" not in whole
    begun = completion_body(job(form=Form("root ::= x", trigger="<t>")), prompt, 0, 1024)
    assert begun["grammar_lazy"] is True
    assert begun["grammar_triggers"] == [{"type": 1, "value": "<t>"}]
    assert begun["preserved_tokens"] == ["<t>"]
    assert "grammar" not in completion_body(job(), prompt, 0, 1024)


async def test_a_prompt_saves_its_own_organization_tokens_and_nobody_else(smollm2: Path) -> None:
    """As llama.cpp itself counts the tokens of prompts that it computes."""
    system = Message(role="system", content="You know the sea, its ships and who sails them. " * 40)
    served = chat_engines.deployment("llama", smollm2, None)
    async with chat_engines.running(ENGINE, served) as (engine, socket):
        process = Upstream(unix(socket))

        async def computed() -> int:
            await process.get("/lora-adapters")  # /metrics shows the last step
            lines = (await process.get("/metrics")).decode().splitlines()
            return int(dict(line.split()[:2] for line in lines)["llamacpp:prompt_tokens_total"])

        async def ask(organization: str) -> tuple[int, Usage]:
            before = await computed()
            asked = chat_engines.job(messages=(system, *USER), organization=organization, max_tokens=1)
            _, usage = await chat_engines.answer(engine, asked)
            return await computed() - before, usage

        try:
            (cold, first), (again, second), (other, third) = [await ask(name) for name in ("a", "a", "b")]
        finally:
            await process.close()
    assert cold == other == first.prompt_tokens > 400 and first.cached_tokens == third.cached_tokens == 0
    assert 0 < again < 10 and second.cached_tokens == second.prompt_tokens - again
