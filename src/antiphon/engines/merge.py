"""What comes from engines, put together: several choices as one, and pieces that arrived at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TypeVar

from antiphon.errors import EngineFailed
from antiphon.values import Delta

T = TypeVar("T")

_BOUND = 64
"""Items that may wait for the reader; beyond it the iterators pause."""


def decoded(batch: Iterable[bytes], decode: Callable[[bytes], T]) -> tuple[list[T], EngineFailed | None]:
    """Events that are there at once, as far as they can be read, and what is wrong with the next, if
    anything: what came before it is still to be given."""
    found: list[T] = []
    for event in batch:
        try:
            found.append(decode(event))
        except EngineFailed as problem:
            return found, problem
    return found, None


def joined(deltas: Iterable[Delta]) -> list[Delta]:
    """Deltas of one choice that are there at once, as few of them as say the same; empty ones are left out.

    Those with probabilities or calls stay apart from what follows.
    """
    found: list[Delta] = []
    for delta in deltas:
        if not (delta.text or delta.logprobs or delta.finish_reason or delta.calls):
            continue
        last = found[-1] if found else None
        if last is None or last.logprobs or delta.logprobs or last.calls or delta.calls:
            found.append(delta)
        else:
            text = last.text + delta.text
            found[-1] = Delta(
                delta.index, text, (), delta.finish_reason, completion_tokens=delta.completion_tokens
            )
    return found


def merge(
    iterators: Sequence[AsyncGenerator[T, None]], at_once: int | None = None
) -> AsyncGenerator[T, None]:
    """Items of all, as they come. An error of one ends all; closing this one closes all.

    No more than `at_once` of them run at a time, in their order, if that is said.
    """
    return iterators[0] if len(iterators) == 1 else _merged(iterators, at_once or len(iterators))


async def _merged(iterators: Sequence[AsyncGenerator[T, None]], at_once: int) -> AsyncGenerator[T, None]:
    ready: asyncio.Queue[T | _End] = asyncio.Queue(_BOUND)
    turns = asyncio.Semaphore(at_once)
    readers = [asyncio.create_task(_read(iterator, ready, turns)) for iterator in iterators]
    try:
        running = len(readers)
        while running:
            arrived = await ready.get()
            if not isinstance(arrived, _End):
                yield arrived
            elif arrived.error is not None:
                raise arrived.error
            else:
                running -= 1
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


class _End:
    """What a reader leaves behind: nothing more comes, because of an error or not."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


async def _read(
    iterator: AsyncGenerator[T, None], ready: asyncio.Queue[T | _End], turns: asyncio.Semaphore
) -> None:
    try:
        async with turns, aclosing(iterator) as items:
            async for item in items:
                await ready.put(item)
    except Exception as error:
        await ready.put(_End(error))
    else:
        await ready.put(_End(None))
