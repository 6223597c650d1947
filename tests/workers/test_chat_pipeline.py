"""OpenVINO's own work, counted in its steps: what one organization asked saves another none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.workers.chat import pipeline, tokenizer
from antiphon.workers.chat.options import Completion, generation
from antiphon.workers.chat.pipeline import OpenvinoPipeline, Running
from antiphon.workers.chat.prefixes import BLOCK
from antiphon.workers.chat.request import Request
from antiphon.workers.chat.scheduler import Scheduler

BLOCKS = 16


class Counting:
    """The real pipeline, and how many steps it has taken."""

    def __init__(self, inner: OpenvinoPipeline) -> None:
        self._inner = inner
        self.blocks = inner.blocks
        self.steps = 0

    def add(self, prompt: Sequence[int], generation: dict[str, Any], grammar: str) -> Running:
        return self._inner.add(prompt, generation, grammar)

    def step(self) -> None:
        self.steps += 1
        self._inner.step()


@asynccontextmanager
async def scheduler(counting: Counting) -> AsyncIterator[Scheduler]:
    built = Scheduler(lambda: counting, most=4, on_failure=lambda: None)
    built.start()
    try:
        yield built
    finally:
        built.close()


async def test_a_prompt_saves_its_own_organization_steps_and_nobody_else(
    prepared_smollm2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step computes one block here, so a prompt takes as many as it has blocks that are not there."""
    monkeypatch.setattr(pipeline, "_STEP_TOKENS", BLOCK)
    vocabulary = tokenizer.load(prepared_smollm2)
    prompt = vocabulary.encode(["You know the sea, its ships and who sails them. " * 100])[: BLOCKS * BLOCK]
    counting = Counting(OpenvinoPipeline(prepared_smollm2, cache_tokens=4096, threads=2, sequences=4))
    asked = generation(Completion(prompt=prompt, n_predict=1, temperature=0), vocabulary.ends)

    async with scheduler(counting) as built:

        async def ask(partition: str) -> tuple[int, int, list[int]]:
            """Steps until the first token, tokens that were there, and that token."""
            before = counting.steps
            request = Request(prompt, asked, partition=partition)
            built.submit(request)
            tokens = [token async for piece, _ in request.pieces() for token in piece]
            return counting.steps - before, request.cached, tokens

        cold, again, other, other_again = [await ask(name) for name in ("a", "a", "b", "b")]
        nobodys = [await ask("") for _ in range(2)]

    assert cold[0] >= BLOCKS and cold[1] == 0
    assert again[0] <= 2 and again[1] == len(prompt) - 1
    assert other[:2] == cold[:2], "another organization computes all of it, and is told so"
    assert other_again[:2] == again[:2]
    assert [found[:2] for found in nobodys] == [cold[:2]] * 2
    assert len({tuple(found[2]) for found in (cold, again, other, other_again, *nobodys)}) == 1
