"""Keeps what is kept of prompts apart, by whom they belong to.

OpenVINO finds a kept block by the 64-bit ids of its tokens and of all before them, but computes with their
lower 32 bits. A number in the upper bits of a prompt's first token, a different one for each partition,
therefore changes nothing of an answer, and no block of one partition is ever found by another.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence

from antiphon.workers.chat.prefixes import Chain

MOST = 4096
"""Partitions whose numbers are remembered; one that is forgotten finds none of its blocks again. As many
blocks that are avoided."""
_BITS = 31
_SHIFT = 32


class Partitions:
    """The number of each partition: random, so that nobody can make a prompt that meets another's.

    Where a kept block must not be found again, or not yet, texts through it go on under another number.
    """

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._detours: dict[bytes, int] = {}
        """By the key of such a block."""
        self.changes = 0
        """Grows whenever the number of a text may be another one than before."""

    def chain(self, partition: str, tokens: Sequence[int]) -> tuple[Chain, list[bytes]]:
        """A text of a partition as it is kept, and the keys of its blocks, none of which is to be avoided."""
        number = self._number(partition)
        while True:
            chain = Chain(number)
            keys = chain.feed(tokens)
            blocked = next((key for key in keys if key in self._detours), None)
            if blocked is None:
                return chain, keys
            number = self._detours[blocked]

    def avoid(self, key: bytes) -> None:
        """Let no text find this block, or one behind it, any more."""
        self.changes += 1
        if len(self._detours) >= MOST:
            # What is forgotten must not be found again: everybody begins anew.
            self._detours.clear()
            self._numbers.clear()
        self._detours[key] = self._new()

    def renew(self, partition: str) -> None:
        """Let a partition find nothing again."""
        self.changes += 1
        self._numbers.pop(partition, None)

    def _number(self, partition: str) -> int:
        """Its number, never 0. What belongs to nobody has a new one each time."""
        number = self._numbers.pop(partition, None) or self._new()
        if partition:
            self._numbers[partition] = number
            if len(self._numbers) > MOST:
                self._numbers.popitem(last=False)
        return number

    def _new(self) -> int:
        taken = (self._numbers.values(), self._detours.values())
        while not (number := secrets.randbits(_BITS)) or any(number in numbers for numbers in taken):
            continue
        return number


def marked(prompt: Sequence[int], number: int) -> list[int]:
    """A prompt with a partition's number in its first token."""
    return [prompt[0] + (number << _SHIFT), *prompt[1:]]
