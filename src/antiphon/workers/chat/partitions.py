"""Keeps what is kept of prompts apart, by whom they belong to.

OpenVINO finds a kept block by the 64-bit ids of its tokens and of all before them, but computes with their
lower 32 bits. A number in the upper bits of a prompt's first token, a different one for each partition,
therefore changes nothing of an answer, and no block of one partition is ever found by another.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence

MOST = 4096
"""Partitions whose numbers are remembered; one that is forgotten finds none of its blocks again."""
_BITS = 31
_SHIFT = 32


class Partitions:
    """The number of each partition: random, so that nobody can make a prompt that meets another's."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()

    def number(self, partition: str) -> int:
        """Its number, never 0. What belongs to nobody has a new one each time."""
        number = self._numbers.pop(partition, None) or self._new()
        if partition:
            self._numbers[partition] = number
            if len(self._numbers) > MOST:
                self._numbers.popitem(last=False)
        return number

    def _new(self) -> int:
        while not (number := secrets.randbits(_BITS)) or number in self._numbers.values():
            continue
        return number


def marked(prompt: Sequence[int], number: int) -> list[int]:
    """A prompt with a partition's number in its first token."""
    return [prompt[0] + (number << _SHIFT), *prompt[1:]]
