"""From the pieces of an answer to its shapes: one whole completion, or the chunks of a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec
from msgspec import UNSET, UnsetType

from antiphon.api.writer import Writer, usage_told
from antiphon.inference.generation import Answer
from antiphon.values import CallDelta, ChatJob, Delta, FinishReason, TokenLogprob, Usage
from antiphon.wire import chat as wire


class ChatWriter(Writer):
    """Writes one answer to a conversation."""

    def __init__(self, job: ChatJob, answer: Answer, *, legacy: bool = False) -> None:
        """`legacy`: the request spoke of `functions`, so a call is told as the one `function_call`."""
        super().__init__(job.id, answer)
        self._job = job
        self._legacy = legacy

    async def whole(self, pieces: AsyncIterator[Delta | Usage]) -> wire.ChatCompletion:
        answers = [_Answer() for _ in range(self._job.n)]
        usage = Usage()
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
            else:
                answers[piece.index].add(piece)
        choices = [
            wire.Choice(
                index=index,
                message=answer.message(self._legacy),
                logprobs=wire.Logprobs(answer.logprobs) if self._job.logprobs else None,
                finish_reason=_finish(answer.finish, self._legacy),
            )
            for index, answer in enumerate(answers)
        ]
        return wire.ChatCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage_told(usage),
            system_fingerprint=self._fingerprint,
        )

    async def chunks(
        self, pieces: AsyncIterator[Delta | Usage], include_usage: bool
    ) -> AsyncIterator[tuple[wire.ChatCompletionChunk, Delta | None]]:
        """The chunks in the order clients rely on: role, contents, finish reason, and usage if asked for.

        See `Writer.chunks`.
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
                for delta, logprobs, finish in _split(piece, self._legacy):
                    yield self._chunk(piece.index, delta, none, logprobs, finish), shown
                    shown = None
            elif include_usage:
                yield self._envelope([], usage_told(piece)), None

    def _chunk(
        self,
        index: int,
        delta: wire.ChunkDelta,
        usage: None | UnsetType,
        logprobs: wire.Logprobs | None = None,
        finish: wire.Finish | None = None,
    ) -> wire.ChatCompletionChunk:
        choice = wire.ChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=finish)
        return self._envelope([choice], usage)

    def _envelope(
        self, choices: list[wire.ChunkChoice], usage: wire.CompletionUsage | None | UnsetType
    ) -> wire.ChatCompletionChunk:
        return wire.ChatCompletionChunk(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage,
            system_fingerprint=self._fingerprint,
        )


class _Answer:
    """One choice, put together."""

    def __init__(self) -> None:
        self.logprobs: list[TokenLogprob] = []
        self.finish: FinishReason = "stop"
        self._texts: list[str] = []
        self._calls: list[_Call] = []

    def add(self, piece: Delta) -> None:
        self._texts.append(piece.text)
        self.logprobs += piece.logprobs
        self.finish = piece.finish_reason or self.finish
        for call in piece.calls:
            if call.id:
                self._calls.append(_Call(call.id, call.name, []))
            self._calls[call.index].arguments.append(call.arguments)

    def message(self, legacy: bool) -> wire.AnswerMessage:
        text = "".join(self._texts)
        if not self._calls:
            return wire.AnswerMessage(content=text)
        called = [
            wire.ToolCall(
                id=call.id,
                function=wire.CalledFunction(name=call.name, arguments="".join(call.arguments)),
            )
            for call in self._calls
        ]
        if legacy:
            return wire.AnswerMessage(content=text or None, function_call=called[0].function)
        return wire.AnswerMessage(content=text or None, tool_calls=called)


class _Call(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: list[str]


def _split(
    piece: Delta, legacy: bool
) -> Iterator[tuple[wire.ChunkDelta, wire.Logprobs | None, wire.Finish | None]]:
    """A piece as chunks: its content, its calls, then its finish reason alone with an empty delta."""
    if piece.text or piece.logprobs:
        yield (
            wire.ChunkDelta(content=piece.text),
            wire.Logprobs(list(piece.logprobs)) if piece.logprobs else None,
            None,
        )
    for call in piece.calls:
        yield _call(call, legacy), None, None
    if piece.finish_reason:
        yield wire.ChunkDelta(), None, _finish(piece.finish_reason, legacy)


def _call(call: CallDelta, legacy: bool) -> wire.ChunkDelta:
    function = wire.ChunkFunction(name=call.name or UNSET, arguments=call.arguments)
    if legacy:
        return wire.ChunkDelta(function_call=function)
    piece = wire.ChunkToolCall(
        index=call.index,
        id=call.id or UNSET,
        type="function" if call.id else UNSET,
        function=function,
    )
    return wire.ChunkDelta(tool_calls=[piece])


def _finish(reason: FinishReason, legacy: bool) -> wire.Finish:
    return "function_call" if legacy and reason == "tool_calls" else reason
