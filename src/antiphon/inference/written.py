"""What a model writes after several prompts as one answer, and what of it was handed to a client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from antiphon.engines.base import ChatEngine
from antiphon.engines.merge import merge
from antiphon.ledger.meter import Bill
from antiphon.values import ChatJob, Delta, Prompt, Usage

_CHOICES_AT_ONCE = 8
"""What one request may let an engine write at once: the most choices that a chat can have."""


def written(
    engine: ChatEngine, jobs: Sequence[ChatJob], prompts: Sequence[Prompt]
) -> AsyncGenerator[Delta | Usage, None]:
    """The pieces of the answers to all prompts, as they come, last one `Usage` of all.

    Each prompt has its job, all with the same `n`; choices are numbered prompt by prompt.
    """
    if len(jobs) == 1:
        return _one(engine, jobs[0], prompts[0])
    return _all([_one(engine, *each) for each in zip(jobs, prompts, strict=True)], jobs[0].n)


def _one(engine: ChatEngine, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
    return _nothing(job, prompt) if job.max_tokens == 0 else engine.chat(job, prompt)


async def _nothing(job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
    """An answer of no tokens, for which no engine has to be asked."""
    for index in range(job.n):
        yield Delta(index, finish_reason="length")
    yield Usage(prompt_tokens=prompt.length)


async def _all(
    answers: Sequence[AsyncGenerator[Delta | Usage, None]], n: int
) -> AsyncGenerator[Delta | Usage, None]:
    used = Usage()
    numbered = [_numbered(answer, place * n) for place, answer in enumerate(answers)]
    async with aclosing(merge(numbered, max(1, _CHOICES_AT_ONCE // n))) as pieces:
        async for piece in pieces:
            if isinstance(piece, Usage):
                used = _sum(used, piece)
            else:
                yield piece
    yield used


async def _numbered(
    pieces: AsyncGenerator[Delta | Usage, None], first: int
) -> AsyncGenerator[Delta | Usage, None]:
    """The same pieces, their choices numbered from `first` on."""
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Delta):
                yield msgspec.structs.replace(piece, index=first + piece.index)
            else:
                yield piece


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )


class HandedTokens:
    """Tells a bill what the client was handed: prompts whose answers have begun, and the tokens of choices.

    A prompt has `n` choices. Without a running count of the engine (`counts`), a piece of text is taken for
    one token.
    """

    def __init__(self, bill: Bill, prompts: Sequence[Prompt], n: int, *, counts: bool) -> None:
        self._bill = bill
        self._prompts = [prompt.length for prompt in prompts]
        self._n = n
        self._begun: set[int] = set()
        self._tokens = [0] * (n * len(prompts))
        self._counts = counts

    def __call__(self, piece: Delta | None) -> None:
        if piece is not None and self._counts:
            self._tokens[piece.index] = piece.completion_tokens
        elif piece is not None and (piece.text or piece.calls):
            self._tokens[piece.index] += 1
        self._begun.add(0 if piece is None else piece.index // self._n)
        read = sum(self._prompts[place] for place in self._begun)
        self._bill.handed(Usage(prompt_tokens=read, completion_tokens=sum(self._tokens)))
