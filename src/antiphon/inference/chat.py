"""The conductor of chat requests: resolve, enter, acquire, generate; each called once, in this order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import msgspec

from antiphon.engines.base import ChatEngine
from antiphon.errors import ContextLengthExceeded, RequestTimeout
from antiphon.inference.conductor import Conductor
from antiphon.values import Caller, ChatJob, Delta, Prompt, Snapshot, Usage


class ChatAnswer(msgspec.Struct, frozen=True):
    """An answer on its way: what gives it, and its pieces as they come, last one `Usage`."""

    snapshot: Snapshot
    pieces: AsyncGenerator[Delta | Usage, None]


class Chat(Conductor):
    """Answers chat requests; one streaming path serves streamed and whole answers alike."""

    @asynccontextmanager
    async def answer(self, caller: Caller, job: ChatJob) -> AsyncIterator[ChatAnswer]:
        """The answer to `job`, for as long as the block runs; leaving it early cancels the generation.

        Raises any of `AntiphonError`, in the block as well: a deadline or a failing engine may end an answer
        midway.
        """
        snapshot = self._resolve(job.model, "chat")
        pool = self._pools.get(snapshot.id)
        try:
            async with asyncio.timeout(self._settings.chat_seconds):
                async with self._gate.enter(caller, snapshot.id, lambda: pool.capacity, weight=job.n):
                    with pool.acquire() as lease:
                        engine = cast(ChatEngine, lease.engine)
                        prompt = await engine.prepare(job.messages)
                        fitted = _fitted(job, prompt, snapshot.context)
                        async with aclosing(self._observed(snapshot, engine.chat(fitted, prompt))) as pieces:
                            yield ChatAnswer(snapshot, pieces)
        except TimeoutError:
            raise RequestTimeout("The answer took too long.") from None

    async def render(self, job: ChatJob) -> tuple[Snapshot, Prompt]:
        """What the model would read for `job.messages`. It takes no place: nothing is generated."""
        snapshot = self._resolve(job.model, "chat")
        with self._pools.get(snapshot.id).acquire() as lease:
            return snapshot, await cast(ChatEngine, lease.engine).prepare(job.messages)

    async def _observed(
        self, snapshot: Snapshot, pieces: AsyncGenerator[Delta | Usage, None]
    ) -> AsyncGenerator[Delta | Usage, None]:
        began, first = time.monotonic(), True
        async with aclosing(pieces):
            async for piece in pieces:
                if first:
                    self._metrics.first_token.labels(snapshot.id).observe(time.monotonic() - began)
                    first = False
                if isinstance(piece, Usage):
                    self._metrics.tokens.labels(snapshot.id, "prompt").inc(piece.prompt_tokens)
                    self._metrics.tokens.labels(snapshot.id, "completion").inc(piece.completion_tokens)
                yield piece


def _fitted(job: ChatJob, prompt: Prompt, context: int) -> ChatJob:
    """The job with its answer bounded by the context. Raises `ContextLengthExceeded`: nothing is cut off."""
    used = len(prompt.tokens)
    wanted = job.max_tokens
    if used >= context or (wanted is not None and used + wanted > context):
        raise ContextLengthExceeded(limit=context, prompt=used, completion=wanted or 0)
    return job if wanted is not None else msgspec.structs.replace(job, max_tokens=context - used)
