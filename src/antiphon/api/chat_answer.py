"""From the pieces of an answer to its shapes: one whole completion, or the chunks of a stream."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterator

from msgspec import UNSET, UnsetType

from antiphon import __version__
from antiphon.values import ChatJob, Delta, FinishReason, Snapshot, TokenLogprob, Usage
from antiphon.wire import chat as wire


class ChatWriter:
    """Writes one answer, whose id, time, model and fingerprint are the same in every chunk."""

    def __init__(self, job: ChatJob, snapshot: Snapshot) -> None:
        self._job = job
        self._created = int(time.time())
        self._model = snapshot.id
        digest = hashlib.sha256(f"{snapshot.id} {__version__}".encode()).hexdigest()
        self._fingerprint = f"fp_{digest[:10]}"

    async def whole(self, pieces: AsyncIterator[Delta | Usage]) -> wire.ChatCompletion:
        """All pieces folded into one answer."""
        texts: list[list[str]] = [[] for _ in range(self._job.n)]
        logprobs: list[list[TokenLogprob]] = [[] for _ in range(self._job.n)]
        finish: list[FinishReason] = ["stop"] * self._job.n
        usage = Usage()
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
                continue
            texts[piece.index].append(piece.text)
            logprobs[piece.index] += piece.logprobs
            finish[piece.index] = piece.finish_reason or finish[piece.index]
        choices = [
            wire.Choice(
                index=index,
                message=wire.AnswerMessage(content="".join(texts[index])),
                logprobs=wire.Logprobs(logprobs[index]) if self._job.logprobs else None,
                finish_reason=finish[index],
            )
            for index in range(self._job.n)
        ]
        return wire.ChatCompletion(
            id=self._job.id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=_usage(usage),
            system_fingerprint=self._fingerprint,
        )

    async def chunks(
        self, pieces: AsyncIterator[Delta | Usage], include_usage: bool
    ) -> AsyncIterator[tuple[wire.ChatCompletionChunk, Delta | None]]:
        """The chunks in the order clients rely on: role, contents, finish reason, and usage if asked for.

        Each piece comes with the first chunk that shows it. The first chunk waits for the engine's first
        piece, so that an engine's refusal is still a plain error.
        """
        none: None | UnsetType = None if include_usage else UNSET
        begun = False
        async for piece in pieces:
            if not begun:
                begun = True
                for index in range(self._job.n):
                    yield self._chunk(index, wire.ChunkDelta(role="assistant", content=""), none), None
            if isinstance(piece, Delta):
                shown: Delta | None = piece
                for delta, logprobs, finish in _split(piece):
                    yield self._chunk(piece.index, delta, none, logprobs, finish), shown
                    shown = None
            elif include_usage:
                yield self._envelope([], _usage(piece)), None

    def _chunk(
        self,
        index: int,
        delta: wire.ChunkDelta,
        usage: None | UnsetType,
        logprobs: wire.Logprobs | None = None,
        finish: FinishReason | None = None,
    ) -> wire.ChatCompletionChunk:
        choice = wire.ChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=finish)
        return self._envelope([choice], usage)

    def _envelope(
        self, choices: list[wire.ChunkChoice], usage: wire.CompletionUsage | None | UnsetType
    ) -> wire.ChatCompletionChunk:
        return wire.ChatCompletionChunk(
            id=self._job.id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage,
            system_fingerprint=self._fingerprint,
        )


def _split(piece: Delta) -> Iterator[tuple[wire.ChunkDelta, wire.Logprobs | None, FinishReason | None]]:
    """A piece as chunks: its content, then its finish reason alone with an empty delta."""
    if piece.text or piece.logprobs:
        yield (
            wire.ChunkDelta(content=piece.text),
            wire.Logprobs(list(piece.logprobs)) if piece.logprobs else None,
            None,
        )
    if piece.finish_reason:
        yield wire.ChunkDelta(), None, piece.finish_reason


def _usage(usage: Usage) -> wire.CompletionUsage:
    return wire.CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=wire.PromptTokensDetails(cached_tokens=usage.cached_tokens),
    )
