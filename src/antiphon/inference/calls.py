"""Tells text from calls of functions in what a model writes, while it writes."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from enum import Enum, auto
from itertools import groupby

from msgspec import json, structs

from antiphon.grammar.calls import BEGIN, END
from antiphon.values import CallDelta, Delta, FinishReason, Usage

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)')
_TAIL = re.compile(rf"\s*\}}\s*{END}\s*")
_LONGEST = 512
"""Characters in which a call's name must have come, and its end once its arguments have."""

Part = str | CallDelta
"""Text of the answer, or a piece of a call."""


class _State(Enum):
    TEXT = auto()
    ARGUMENTS = auto()
    TAIL = auto()


class Calls:
    """The parts of one choice's answer, in order; a call's arguments come as they are written.

    What may be the beginning of a call is held back until it is one or is not. What begins like a call and is
    none stays text.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = _State.TEXT
        self._depth = 0
        """Braces and brackets of the arguments that are open."""
        self._quoted = self._escaped = False
        self._count = 0

    @property
    def any(self) -> bool:
        """Whether anything was called."""
        return self._count > 0

    def feed(self, text: str) -> list[Part]:
        """What is known now that the model has written this as well."""
        self._held += text
        return list(self._known(ended=False))

    def end(self, *, cut: bool = False) -> list[Part]:
        """The rest, once the model has ended, or was `cut` off: what it then had begun to call is no text."""
        if cut and self._state is _State.TEXT and (start := self._held.find(BEGIN)) >= 0:
            self._held = self._held[:start]
        return list(self._known(ended=True))

    def _known(self, *, ended: bool) -> Iterator[Part]:
        read = {_State.TEXT: self._text, _State.ARGUMENTS: self._arguments, _State.TAIL: self._tail}
        while self._held:
            before = self._state, len(self._held)
            yield from read[self._state](ended)
            if (self._state, len(self._held)) == before:
                return

    def _text(self, ended: bool) -> Iterator[Part]:
        start = self._held.find(BEGIN)
        if start < 0:
            start = len(self._held) - (0 if ended else _overlap(self._held, BEGIN))
        if start:
            said = self._taken(start)
            if said.strip() or not self.any:  # else it only separates one call from the next
                yield said
        if not self._held.startswith(BEGIN):
            return
        if found := _HEAD.match(self._held, len(BEGIN)):
            yield CallDelta(self._count, f"call_{secrets.token_hex(12)}", json.decode(found[1]))
            self._count += 1
            self._taken(found.end())
            self._state = _State.ARGUMENTS
        elif ended or len(self._held) > _LONGEST:
            yield self._taken(len(self._held))

    def _arguments(self, ended: bool) -> Iterator[Part]:
        end = self._end_of_arguments()
        yield CallDelta(self._count - 1, arguments=self._taken(end))
        if self._depth == 0:
            self._state = _State.TAIL

    def _end_of_arguments(self) -> int:
        """How much of what is held belongs to them."""
        for position, character in enumerate(self._held):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped = character == "\\"
                self._quoted = character != '"'
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return position + 1
        return len(self._held)

    def _tail(self, ended: bool) -> Iterator[Part]:
        yield from ()
        if found := _TAIL.match(self._held):
            self._taken(found.end())
            self._state = _State.TEXT
        elif ended or len(self._held) > _LONGEST:
            self._state = _State.TEXT

    def _taken(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


async def told(pieces: AsyncGenerator[Delta | Usage, None], n: int) -> AsyncGenerator[Delta | Usage, None]:
    """The same pieces, with the calls of each of the `n` choices told from its text."""
    choices = [Calls() for _ in range(n)]
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Usage):
                yield piece
                continue
            calls = choices[piece.index]
            parts = calls.feed(piece.text)
            if piece.finish_reason:
                parts += calls.end(cut=piece.finish_reason == "length")
            for told in _deltas(piece, parts):
                yield told
            if piece.finish_reason:
                called = calls.any and piece.finish_reason == "stop"
                reason: FinishReason = "tool_calls" if called else piece.finish_reason
                yield Delta(piece.index, finish_reason=reason, completion_tokens=piece.completion_tokens)


def _deltas(piece: Delta, parts: Sequence[Part]) -> Iterator[Delta]:
    """What is known of a piece, in its order: text, and pieces of calls. The first has its probabilities."""
    logprobs = piece.logprobs
    for calls, group in groupby(parts, key=lambda part: isinstance(part, CallDelta)):
        found = list(group)
        delta = Delta(piece.index, logprobs=logprobs, completion_tokens=piece.completion_tokens)
        if calls:
            yield structs.replace(delta, calls=tuple(found))
        else:
            yield structs.replace(delta, text="".join(map(str, found)))
        logprobs = ()
    if logprobs and not parts:
        yield Delta(piece.index, logprobs=logprobs, completion_tokens=piece.completion_tokens)


def _overlap(text: str, mark: str) -> int:
    """How many characters at a text's end may be the beginning of a mark."""
    return next((n for n in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:n])), 0)
