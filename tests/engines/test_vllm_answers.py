"""Answers of vLLM: of a program that answers as the real one was recorded to, or fails on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from antiphon.engines.vllm import ENGINE, VllmEngine
from antiphon.errors import EngineFailed, InvalidRequest
from antiphon.settings import Settings
from antiphon.values import Delta, Usage
from chat_engines import answer, deployment, job, running, text
from fake_vllm import exchanges, program
from vllm_cases import CASES

pytestmark = pytest.mark.asyncio(loop_scope="module")

Fake = Callable[..., AbstractAsyncContextManager[VllmEngine]]


@asynccontextmanager
async def faking(model: Path, folder: Path, **options: Any) -> AsyncIterator[VllmEngine]:
    settings = Settings(vllm_command=str(program(folder, **options)), home=str(folder))
    async with running(ENGINE, deployment("vllm", model, None), settings) as (engine, _):
        assert isinstance(engine, VllmEngine)
        yield engine


@pytest.fixture
def fake(smollm2_words: Path, tmp_path: Path) -> Fake:
    return partial(faking, smollm2_words, tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replaying(
    smollm2_words: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VllmEngine]:
    """The client of one that answers as the real one was recorded to."""
    async with faking(smollm2_words, tmp_path_factory.mktemp("replaying")) as engine:
        yield engine


def recorded(case: str) -> list[list[dict[str, Any]]]:
    """The chunks of each answer that was recorded for a case."""
    told = [one["events"] for one in exchanges() if one["case"] == case]
    return [[json.loads(event) for event in events if event != "[DONE]"] for events in told]


@pytest.mark.parametrize("case", sorted(set(CASES) - {"refused", "unreadable"}))
async def test_answers_are_those_that_vllm_gave(replaying: VllmEngine, case: str) -> None:
    """Text, ends and counts, whole and in order, from what was sent for the same request."""
    deltas, usage = await answer(replaying, CASES[case])
    answers = recorded(case)
    assert len(answers) == CASES[case].n
    for index, chunks in enumerate(answers):
        own = [delta for delta in deltas if delta.index == index]
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        assert text(own, index) == "".join(choice["text"] for choice in choices)
        assert [delta.finish_reason for delta in own if delta.finish_reason] == [choices[-1]["finish_reason"]]
        counts = [delta.completion_tokens for delta in own]
        assert counts == sorted(counts) and counts[0] >= 1
        assert counts[-1] == chunks[-1]["usage"]["completion_tokens"]
    assert usage.completion_tokens == sum(chunks[-1]["usage"]["completion_tokens"] for chunks in answers)
    assert usage.prompt_tokens == answers[0][-1]["usage"]["prompt_tokens"]


async def test_what_the_recorded_answers_are(replaying: VllmEngine) -> None:
    async def said(case: str) -> str:
        return text((await answer(replaying, CASES[case]))[0])

    free = await said("plain")
    assert free.startswith(await said("limit")) and await said("stop") == free.partition("rance")[0]
    assert await said("grammar") in ("yes", "no")
    held = await said("characters")
    assert held.startswith("🦊é") and held.endswith("end") and len(held) == 7
    before, word, after = (await said("lazy")).partition("sea")
    assert before and word and after == " and no more"
    assert (await said("bias")) == "111"
    assert len({text((await answer(replaying, CASES["several"]))[0], index) for index in (0, 1)}) == 2


async def test_prompts_are_kept_for_their_own_organization_alone(replaying: VllmEngine) -> None:
    found = {case: (await answer(replaying, CASES[case]))[1] for case in ("first", "again", "strange")}
    assert found["first"].cached_tokens == found["strange"].cached_tokens == 0
    assert 128 <= found["again"].cached_tokens < found["again"].prompt_tokens


async def test_logprobs_are_of_the_bytes_of_tokens(replaying: VllmEngine) -> None:
    deltas, _ = await answer(replaying, CASES["likeliest"])
    chosen, _ = await answer(replaying, CASES["chosen"])
    last, usage = await answer(replaying, CASES["last"])
    tokens = [one for delta in deltas for one in delta.logprobs]
    assert "".join(token.token for token in tokens) == text(deltas) and len(tokens) == 3
    assert all(bytes(token.bytes or []).decode() == token.token for token in tokens)
    for token in tokens:
        likeliest = [other.logprob for other in token.top_logprobs]
        assert len(likeliest) == 3 and all(a >= b for a, b in pairwise(likeliest))
        assert token.logprob == likeliest[0] <= 0, "greedy"
    assert [one.top_logprobs for delta in chosen for one in delta.logprobs] == [[]] * 3
    assert last[-1].finish_reason == "stop"
    spoken = [one.token for delta in last for one in delta.logprobs]
    assert "".join(spoken) == text(last) and len(spoken) == usage.completion_tokens - 1, "the end is no text"


async def test_a_request_that_vllm_refuses(replaying: VllmEngine) -> None:
    """One that the gateway lets through, but is longer than vLLM's context."""
    with pytest.raises(EngineFailed, match=r"status 400\.$"):
        await answer(replaying, CASES["refused"])


async def test_a_grammar_that_vllm_refuses_is_the_requests_fault(replaying: VllmEngine) -> None:
    """It says so in its stream, as it does of whatever goes wrong later."""
    with pytest.raises(InvalidRequest) as refusal:
        await answer(replaying, CASES["unreadable"])
    assert refusal.value.param == "response_format" and "root" not in refusal.value.message


@pytest.mark.parametrize("fault", ["crash", "garbage", "half", "eof", "error", "finish", "unfinished"])
@pytest.mark.parametrize("after", [0, 2])
async def test_an_answer_that_breaks_off_is_an_error(fake: Fake, fault: str, after: int) -> None:
    got: list[Delta | Usage] = []
    async with fake(fault=fault, after=after) as engine:
        asked = job(max_tokens=50)
        prompt = await engine.prepare(asked.messages)
        with pytest.raises(EngineFailed) as failure:
            async with aclosing(engine.chat(asked, prompt)) as pieces:
                async for piece in pieces:
                    got.append(piece)
    said = "".join(piece.text for piece in got if isinstance(piece, Delta))
    assert said == "".join(f" word{i}" for i in range(after))
    assert "word" not in failure.value.message, "an engine's own text may quote the prompt"


async def test_an_engine_that_refuses(fake: Fake) -> None:
    async with fake(status=500) as engine:
        with pytest.raises(EngineFailed, match="status 500"):
            await answer(engine, job())


async def test_leaving_early_ends_the_request(fake: Fake) -> None:
    async with fake(token_delay=0.2) as engine:
        asked = job(max_tokens=50)
        prompt = await engine.prepare(asked.messages)
        async with aclosing(engine.chat(asked, prompt)) as pieces:
            await anext(pieces)
            assert await engine._upstream.get("/running") == b"1"
        async with asyncio.timeout(10):
            while await engine._upstream.get("/running") != b"0":
                await asyncio.sleep(0.02)


async def test_it_is_warm_before_it_is_ready(replaying: VllmEngine) -> None:
    assert await replaying._upstream.get("/warm") == b"true"
    assert await replaying.probe() == ()


async def test_a_process_that_ends_at_once_is_noticed(fake: Fake) -> None:
    with pytest.raises(AssertionError, match="the engine ended"):
        async with fake(exit=3):
            pass
