"""From the pieces of an answer to the shapes of completions: one whole, or the chunks of a stream."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import AsyncIterator, Sequence
from typing import cast

from msgspec import UNSET, UnsetType

from antiphon.api.writer import Writer, usage_told
from antiphon.inference.generation import Answer
from antiphon.values import CompletionJob, Delta, TokenLogprob, TopLogprob, Usage
from antiphon.wire import completions as wire
from antiphon.wire.chat import CompletionUsage

_Decoder = getincrementaldecoder("utf-8")


class CompletionWriter(Writer):
    """Writes one answer to a completion request; its choices are numbered prompt by prompt."""

    def __init__(self, job: CompletionJob, answer: Answer) -> None:
        super().__init__(job.each.id, answer)
        self._choices = [
            _Choice(index, prompt.text, job)
            for index, prompt in enumerate(prompt for prompt in answer.prompts for _ in range(job.each.n))
        ]

    async def whole(self, pieces: AsyncIterator[Delta | Usage]) -> wire.TextCompletion:
        parts: list[list[wire.TextChoice]] = [[] for _ in self._choices]
        usage = Usage()
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
            else:
                parts[piece.index].append(self._choices[piece.index].piece(piece))
        return self._envelope([_joined(*one) for one in enumerate(parts)], usage_told(usage))

    async def chunks(
        self, pieces: AsyncIterator[Delta | Usage], include_usage: bool
    ) -> AsyncIterator[tuple[wire.TextCompletion, Delta | None]]:
        """A chunk for each piece, and one of usage if it is asked for. See `Writer.chunks`."""
        none: None | UnsetType = None if include_usage else UNSET
        async for piece in pieces:
            if isinstance(piece, Delta):
                yield self._envelope([self._choices[piece.index].piece(piece)], none), piece
            elif include_usage:
                yield self._envelope([], usage_told(piece)), None

    def _envelope(
        self, choices: list[wire.TextChoice], usage: CompletionUsage | None | UnsetType
    ) -> wire.TextCompletion:
        return wire.TextCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage,
            system_fingerprint=self._fingerprint,
        )


class _Choice:
    """One choice as it comes: what is still to be echoed, and where its next token begins."""

    def __init__(self, index: int, prompt: str, job: CompletionJob) -> None:
        self._index = index
        self._echo = prompt if job.echo else ""
        self._alternatives = job.each.top_logprobs
        self._offset = len(prompt)
        self._decoder = _Decoder(errors="replace")

    def piece(self, piece: Delta) -> wire.TextChoice:
        """A piece of its answer, the first with what is echoed."""
        text, self._echo = self._echo + piece.text, ""
        return wire.TextChoice(
            text=text,
            index=self._index,
            logprobs=self._logprobs(piece.logprobs) if piece.logprobs else None,
            finish_reason=cast(wire.TextFinish | None, piece.finish_reason),  # nothing is called here
        )

    def _logprobs(self, found: Sequence[TokenLogprob]) -> wire.TextLogprobs:
        return wire.TextLogprobs(
            tokens=[_spelled(one) for one in found],
            token_logprobs=[one.logprob for one in found],
            top_logprobs=[_likeliest(one) for one in found] if self._alternatives else None,
            text_offset=[self._passed(one) for one in found],
        )

    def _passed(self, token: TokenLogprob) -> int:
        """Where a token begins, in characters; one that completes a character begins at that character."""
        begins = self._offset
        self._offset += len(self._decoder.decode(_bytes(token)))
        return begins


def _joined(index: int, parts: Sequence[wire.TextChoice]) -> wire.TextChoice:
    """The pieces of one choice as one; of an answer that was broken off there may be none."""
    told = [part.logprobs for part in parts if part.logprobs is not None]
    logprobs = None
    if told:
        logprobs = wire.TextLogprobs(
            tokens=[token for one in told for token in one.tokens],
            token_logprobs=[logprob for one in told for logprob in one.token_logprobs],
            top_logprobs=[top for one in told for top in one.top_logprobs or ()] or None,
            text_offset=[offset for one in told for offset in one.text_offset],
        )
    return wire.TextChoice(
        text="".join(part.text for part in parts),
        index=index,
        logprobs=logprobs,
        finish_reason=parts[-1].finish_reason if parts else None,
    )


def _likeliest(token: TokenLogprob) -> dict[str, float]:
    """The likeliest tokens and the one that was chosen. Of two spelled alike the likelier is told."""
    found: dict[str, float] = {}
    told: list[TokenLogprob | TopLogprob] = [*token.top_logprobs, token]
    for one in told:
        found.setdefault(_spelled(one), one.logprob)
    return found


def _spelled(token: TokenLogprob | TopLogprob) -> str:
    """A token as text; one whose bytes are no text of their own as `bytes:\\xe2\\x82`."""
    try:
        return _bytes(token).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in _bytes(token))


def _bytes(token: TokenLogprob | TopLogprob) -> bytes:
    return token.token.encode() if token.bytes is None else bytes(token.bytes)
