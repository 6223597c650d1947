"""Prompts that an engine cannot count before it answers: bounded, reserved as such, and paid as it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ContextLengthExceeded
from antiphon.inference.generation import _fitted, _most
from antiphon.values import CallDelta, ChatJob, Delta, Function, Message, Prompt, Usage
from chat_engines import job
from service import KEY, ChatScript, ScriptedEngine, serving

ABOUT, MOST = 40, 150
PROMPT = Prompt("", (), about=ABOUT, at_most=MOST)
BODY = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "x"}]}
TOOL = {"type": "function", "function": {"name": "now"}}


def script(*pieces: Delta | Usage, hangs: bool = False) -> ChatScript:
    async def answer(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        for piece in pieces:
            yield piece
        if hangs:
            await asyncio.Event().wait()

    return answer


class Far(ScriptedEngine):
    """An engine as one that is reached at a URL: it counts no prompts, and tells calls as such."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.tells_calls = True

    async def prepare(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Prompt:
        return PROMPT


def test_only_what_cannot_fit_is_refused() -> None:
    assert _fitted(job(max_tokens=99), PROMPT, 100, "messages").max_tokens == 99
    assert _fitted(job(max_tokens=None), PROMPT, 100, "messages").max_tokens is None, "that is found there"
    with pytest.raises(ContextLengthExceeded):
        _fitted(job(max_tokens=100), PROMPT, 100, "messages")
    assert _fitted(job(max_tokens=None), Prompt("", (1, 2)), 100, "messages").max_tokens == 98


def test_the_bound_is_reserved() -> None:
    free, limited = job(max_tokens=None, n=2), job(max_tokens=5, n=3)
    assert _most([limited], [PROMPT], 200) == Usage(prompt_tokens=MOST, completion_tokens=15)
    assert _most([free], [PROMPT], 200) == Usage(prompt_tokens=MOST, completion_tokens=400)


async def test_a_whole_answer_pays_what_was_read(tmp_path: Path) -> None:
    ended = script(
        Delta(0, "Hi", (), "stop", 1), Usage(prompt_tokens=97, cached_tokens=9, completion_tokens=1)
    )
    engine = Far(ended)
    async with serving(tmp_path, engine) as service:
        status, _, body = await service.chat()
        paid = await service.books.only()
    assert status == 200 and body["usage"]["prompt_tokens"] == 97
    assert (paid.input_tokens, paid.cached_tokens, paid.output_tokens) == (97, 9, 1)
    assert engine.jobs[0].max_tokens is None


async def test_no_more_is_paid_than_the_bound(tmp_path: Path) -> None:
    ended = script(Delta(0, "Hi", (), "stop", 1), Usage(prompt_tokens=MOST + 50, completion_tokens=10))
    async with serving(tmp_path, Far(ended)) as service:
        await service.chat(max_tokens=10)
        paid = await service.books.only()
    assert paid.cost == (MOST + 10) * 2_000


async def test_an_answer_that_is_cut_off_pays_about_what_was_read(tmp_path: Path) -> None:
    begun = script(Delta(0, "Hel", completion_tokens=1), Delta(0, "lo", completion_tokens=2), hangs=True)
    async with serving(tmp_path, Far(begun)) as service:
        url, headers = (
            f"http://127.0.0.1:{service.port}/v1/chat/completions",
            {"authorization": f"Bearer {KEY}"},
        )
        async with service.session.post(url, json=BODY | {"stream": True}, headers=headers) as response:
            while b'"lo"' not in await asyncio.wait_for(response.content.readuntil(b"\n\n"), 5):
                pass
            response.close()
        paid = await service.books.only()
    assert (paid.status, paid.input_tokens, paid.output_tokens) == ("settled", ABOUT, 2)


async def test_its_calls_are_passed_on(tmp_path: Path) -> None:
    marks = "<tool_call> is no call here"
    ended = script(
        Delta(0, marks, completion_tokens=1),
        Delta(0, completion_tokens=2, calls=(CallDelta(0, "call_1", "now"),)),
        Delta(0, completion_tokens=3, calls=(CallDelta(0, arguments="{}"),)),
        Delta(0, "", (), "tool_calls", 3),
        Usage(prompt_tokens=9, completion_tokens=3),
    )
    async with serving(tmp_path, Far(ended)) as service:
        _, _, body = await service.chat(tools=[TOOL])
    [choice] = body["choices"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] == marks
    [call] = choice["message"]["tool_calls"]
    assert (call["id"], call["function"]) == ("call_1", {"name": "now", "arguments": "{}"})


async def test_what_it_reads_cannot_be_shown(tmp_path: Path) -> None:
    async with asyncio.timeout(30), serving(tmp_path, Far()) as service:
        status, _, answer = await service.call("POST", "/v1/chat/completions/render", json=BODY)
    assert (status, answer["error"]["param"]) == (400, "model")
