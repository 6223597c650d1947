"""What several prompts in one request pay: one bill, of what was begun and handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from antiphon.values import ChatJob, Delta, Usage
from service import KEY, ScriptedEngine, serving

TOKEN = 2_000
"""Nano-dollars, from the shipped price list."""


@pytest.mark.parametrize("stream", [True, False])
async def test_one_bill_for_all_prompts(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path) as service:
        status, headers, _ = await service.complete(prompt=["a", "b c"], n=2, max_tokens=10, stream=stream)
        paid = await service.books.only()
    assert status == 200 and paid.id == headers["x-request-id"] and paid.status == "settled"
    assert paid.reserved == (1 + 2 + 4 * 10) * TOKEN
    assert (paid.input_tokens, paid.output_tokens) == (2 * 3, 4 * 2), "as the engine counts"


async def test_prompts_wait_for_their_turn_and_those_that_had_none_are_free(tmp_path: Path) -> None:
    """Eight choices at once: of three prompts with four choices each, two have begun."""

    async def hangs(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        for index in range(job.n):
            yield Delta(index, "Hel", completion_tokens=3)
        await asyncio.Event().wait()

    async with serving(tmp_path, ScriptedEngine(hangs)) as service:
        body = {"model": "gpt-3.5-turbo", "prompt": ["a", "b c", "d e f"], "n": 4, "stream": True}
        url = f"http://127.0.0.1:{service.port}/v1/completions"
        headers = {"authorization": f"Bearer {KEY}"}
        async with service.session.post(url, json=body, headers=headers) as response:
            for _ in range(8):
                await asyncio.wait_for(response.content.readuntil(b"\n\n"), 5)
            assert service.engine.running == 2
            response.close()
        paid = await service.books.only()
        await asyncio.wait_for(service.engine.idle.wait(), 5)
    assert (paid.status, paid.input_tokens, paid.output_tokens) == ("settled", 1 + 2, 8 * 3)


async def test_what_is_aborted_before_anything_was_handed_over_is_free(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def silent(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        begun.set()
        await asyncio.Event().wait()
        yield Usage()

    async with serving(tmp_path, ScriptedEngine(silent)) as service:
        asking = asyncio.create_task(service.complete(prompt=["a", "b"], stream=True))
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        paid = await service.books.only()
    assert (paid.status, paid.cost) == ("voided", 0)
