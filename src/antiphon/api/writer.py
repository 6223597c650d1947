"""How an answer of text is written, of whatever route: as a whole, or as a stream of chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import msgspec

from antiphon.api import lifecycle, sse
from antiphon.api.exchange import Exchange
from antiphon.inference.generation import Answer
from antiphon.values import Delta, ObservedKind, Usage
from antiphon.wire.chat import CompletionUsage, PromptTokensDetails
from antiphon.wire.sampling import SamplingRequest


class Writer(ABC):
    """Writes one answer, whose id, time, model and fingerprint are the same in every chunk."""

    def __init__(self, id: str, answer: Answer) -> None:
        self._id = id
        self._created = int(answer.began_at)
        self._model = answer.snapshot.id
        self._fingerprint = answer.fingerprint

    @abstractmethod
    async def whole(self, pieces: AsyncIterator[Delta | Usage]) -> msgspec.Struct:
        """All pieces folded into one answer."""

    @abstractmethod
    def chunks(
        self, pieces: AsyncIterator[Delta | Usage], include_usage: bool
    ) -> AsyncIterator[tuple[msgspec.Struct, Delta | None]]:
        """The chunks of a stream; each piece comes with the first chunk that shows it.

        The first chunk waits for the engine's first piece, so that its refusal is still a plain error.
        """


async def write(
    exchange: Exchange,
    answering: AbstractAsyncContextManager[Answer],
    writer: Callable[[Answer], Writer],
    request: SamplingRequest,
    kind: ObservedKind,
) -> None:
    """Write an answer as `request` asks: streamed or not. Raises what `answering` raises."""
    exchange.to_stream = bool(request.stream)
    async with answering as answer:
        exchange.result_headers.update(lifecycle.headers(answer.snapshot))
        if exchange.recording is not None:
            exchange.recording.charged = answer.charged
        async with _watched(exchange, answer, writer, kind) as pieces:
            if not request.stream:
                whole = await writer(answer).whole(pieces)
            else:
                options = request.stream_options
                include_usage = bool(options and options.include_usage)
                async for chunk, piece in writer(answer).chunks(pieces, include_usage):
                    await exchange.write(sse.event(chunk))
                    answer.handed(piece)
    # The answer is paid, and the engine's place is free again, before the end is sent.
    await exchange.settled()
    if not request.stream:
        await exchange.answer_json(whole)
    else:
        await exchange.write(sse.DONE)
        await exchange.end()


@asynccontextmanager
async def _watched(
    exchange: Exchange, answer: Answer, writer: Callable[[Answer], Writer], kind: ObservedKind
) -> AsyncIterator[AsyncIterator[Delta | Usage]]:
    """The pieces of an answer. Whoever watches is told of those that came once the block is left, however
    that happens, put together as one that is not streamed."""
    if not exchange.watched:
        yield answer.pieces
        return
    seen: list[Delta | Usage] = []

    async def noted() -> AsyncGenerator[Delta | Usage, None]:
        async for piece in answer.pieces:
            seen.append(piece)
            yield piece

    try:
        async with aclosing(noted()) as pieces:
            yield pieces
    finally:
        whole = bool(seen) and isinstance(seen[-1], Usage)
        answered = await writer(answer).whole(_each(seen))
        exchange.tell(kind, answer.snapshot.id, msgspec.json.encode(answered), whole=whole)


async def _each(pieces: Sequence[Delta | Usage]) -> AsyncIterator[Delta | Usage]:
    for piece in pieces:
        yield piece


def usage_told(usage: Usage) -> CompletionUsage:
    """What an answer used, as clients read it."""
    return CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
    )
