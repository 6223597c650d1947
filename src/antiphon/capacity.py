"""How much of a machine something takes, or has: processors, memory, accelerators. Plain values."""

from __future__ import annotations

import msgspec


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """So much of a machine: thousandths of a processor, bytes, and whole accelerators.

    Below 0 where something is missing: more is reserved than there is, as after the loss of a part.
    """

    cpus: int = 0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Capacity) -> Capacity:
        return Capacity(
            cpus=self.cpus + other.cpus, memory=self.memory + other.memory, gpus=self.gpus + other.gpus
        )

    def __sub__(self, other: Capacity) -> Capacity:
        return Capacity(
            cpus=self.cpus - other.cpus, memory=self.memory - other.memory, gpus=self.gpus - other.gpus
        )

    def least(self, other: Capacity) -> Capacity:
        """Of each kind the smaller amount."""
        return Capacity(
            cpus=min(self.cpus, other.cpus),
            memory=min(self.memory, other.memory),
            gpus=min(self.gpus, other.gpus),
        )

    def lacks(self, needs: Capacity) -> Capacity:
        """What is missing here for `needs`, of each kind. What needs none of a kind lacks none of it."""
        return Capacity(
            cpus=_lack(self.cpus, needs.cpus),
            memory=_lack(self.memory, needs.memory),
            gpus=_lack(self.gpus, needs.gpus),
        )

    def fits(self, within: Capacity) -> bool:
        """Whether there is room for this `within` something that is free."""
        return within.lacks(self) == NOTHING


NOTHING = Capacity()


def _lack(free: int, needed: int) -> int:
    return max(0, needed - free) if needed else 0
