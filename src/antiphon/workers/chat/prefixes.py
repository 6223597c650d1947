"""Which blocks of tokens the pipeline keeps, as far as it can be known from outside.

OpenVINO tells neither how much of a prompt it found nor what it still has. It gives up the block that was
used longest ago, so an account of all blocks that were used, in that order, says what is certainly there.
"""

from __future__ import annotations

import hashlib
import secrets
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

BLOCK = 32
"""Tokens of a block, OpenVINO's size on processors."""
SHARED = 8
"""Blocks that another must be computing for it to be worth a wait."""
_PATIENCE = 4
"""How many times as many the other may still have to compute: it does not tell before it has them all."""


class Chain:
    """The keys of a text's whole blocks, each of all the tokens up to its end."""

    def __init__(self, number: int) -> None:
        """`number`: of the partition (`partitions`)."""
        self.number = number
        self._last = number.to_bytes(8, "big")
        self._rest = array("q")

    def feed(self, tokens: Iterable[int]) -> list[bytes]:
        """The keys of the blocks that these tokens fill."""
        self._rest.extend(tokens)
        keys = []
        for start in range(0, len(self._rest) - BLOCK + 1, BLOCK):
            block = self._rest[start : start + BLOCK].tobytes()
            self._last = hashlib.blake2b(self._last + block, digest_size=16).digest()
            keys.append(self._last)
        del self._rest[: len(keys) * BLOCK]
        return keys


class Pending(NamedTuple):
    """What another computes of a prompt: its first block, and whether that is worth a wait."""

    key: bytes
    worth: bool


class Prefixes:
    """The account. A request enters with its prompt's keys and the most blocks it may need, and leaves."""

    def __init__(self, blocks: int) -> None:
        """`blocks`: how many the pipeline has."""
        self._blocks = blocks
        self._known: OrderedDict[bytes, int | None] = OrderedDict()
        """By key, the one used longest ago first: the request that is computing it, None if it is there."""
        self._future: dict[int, int] = {}
        """Of each request, the blocks that it may still take."""
        self._needs: dict[int, int] = {}

    def fits(self, need: int) -> bool:
        """Whether there is room for so many blocks beside the most that all who entered may need."""
        return sum(self._needs.values()) + need <= self._blocks

    def pending(self, keys: Sequence[bytes]) -> Pending | None:
        """The part of this prompt that another is computing and that is not there yet; None if there is none.

        The pipeline would find it all the same, computed or not.
        """
        known = takewhile(self._known.__contains__, keys)
        pending = [key for key in known if self._known[key] is not None]
        if not pending:
            return None
        leader = self._known[pending[-1]]
        left = sum(one == leader for one in self._known.values())
        return Pending(pending[0], worth=len(pending) >= SHARED and left <= _PATIENCE * len(pending))

    def enter(self, request: int, keys: Sequence[bytes], need: int) -> int:
        """Take its blocks. Returns how many blocks at the beginning of its prompt are there already."""
        there = 0
        while there < len(keys) and self._known.get(keys[there], request) is None:
            there += 1
        self._needs[request] = self._future[request] = need
        self._use(request, keys)
        return there

    def computed(self, request: int, keys: Sequence[bytes]) -> None:
        """The prompt of a request has been computed, or a block of its answer."""
        self._use(request, keys)
        for key in keys:
            self._known[key] = None

    def leave(self, request: int) -> None:
        """A request has ended. What it has not computed to its end stays in the pipeline as well, which takes
        it for whole: whoever asks must avoid it (`Partitions.avoid`)."""
        # So does its last block, which is not full.
        self._use(request, [secrets.token_bytes(16)])
        for key, owner in self._known.items():
            if owner == request:
                self._known[key] = None
        del self._needs[request], self._future[request]

    def _use(self, request: int, keys: Sequence[bytes]) -> None:
        for key in keys:
            if key in self._known:
                self._known.move_to_end(key)
            else:
                self._known[key] = request
                self._future[request] = max(0, self._future[request] - 1)
        while self._known and len(self._known) + sum(self._future.values()) >= self._blocks:
            self._known.popitem(last=False)
