"""Answers to several prompts as one: numbered prompt by prompt, counted together, so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from antiphon.inference.written import HandedTokens, written
from antiphon.values import ChatJob, Delta, Prompt, Usage


class Echo:
    """An engine whose answer is the prompt's text; `most` is how many choices it wrote at once."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        self.running += job.n
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)  # the others' turn to begin
        for index in range(job.n):
            yield Delta(index, f"{prompt.text}{index}", completion_tokens=1)
        self.running -= job.n
        yield Usage(prompt_tokens=len(prompt.tokens), cached_tokens=1, completion_tokens=job.n)


class Bill:
    def __init__(self) -> None:
        self.told: list[Usage] = []

    def handed(self, usage: Usage) -> None:
        self.told.append(usage)


def job(n: int, max_tokens: int = 5) -> ChatJob:
    return ChatJob(id="c", model="m", messages=(), n=n, max_tokens=max_tokens)


@pytest.mark.parametrize(("prompts", "n", "most"), [(1, 3, 3), (2, 3, 6), (32, 1, 8), (4, 8, 8), (5, 3, 6)])
async def test_all_prompts_are_one_answer(prompts: int, n: int, most: int) -> None:
    engine: Any = Echo()
    read = [Prompt(f"p{place}-", (0,) * place) for place in range(prompts)]
    *deltas, usage = [piece async for piece in written(engine, [job(n)] * prompts, read)]
    texts = {delta.index: delta.text for delta in deltas if isinstance(delta, Delta)}
    assert len(deltas) == prompts * n
    assert texts == {place * n + index: f"p{place}-{index}" for place in range(prompts) for index in range(n)}
    assert usage == Usage(
        prompt_tokens=sum(range(prompts)), cached_tokens=prompts, completion_tokens=prompts * n
    )
    assert engine.most == most


async def test_no_tokens_need_no_engine() -> None:
    engine: Any = None
    pieces = [piece async for piece in written(engine, [job(2, 0)], [Prompt("a", (1, 2))])]
    assert pieces[:2] == [Delta(0, finish_reason="length"), Delta(1, finish_reason="length")]
    assert pieces[2] == Usage(prompt_tokens=2)


@pytest.mark.parametrize(("counts", "tokens"), [(True, [0, 4, 11]), (False, [0, 1, 2])])
def test_what_was_handed_over_is_the_prompts_that_were_begun_and_their_tokens(
    counts: bool, tokens: list[int]
) -> None:
    bill: Any = Bill()
    handed = HandedTokens(bill, [Prompt("", (1,)), Prompt("", (1, 2))], 2, counts=counts)
    for piece in (None, Delta(1, "a", completion_tokens=4), Delta(2, "b", completion_tokens=7)):
        handed(piece)
    assert [usage.prompt_tokens for usage in bill.told] == [1, 1, 3]
    assert [usage.completion_tokens for usage in bill.told] == tokens
