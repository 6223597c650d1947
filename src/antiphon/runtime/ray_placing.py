"""Which machine of a Ray cluster an engine is wanted on. Plain functions.

Ray has the last word: where the machine that is wanted has no room, it takes another.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

import msgspec

from antiphon.values import NOTHING, Capacity


class Machine(msgspec.Struct, frozen=True):
    """A node of the cluster, by Ray's id, and all that it has."""

    id: str
    capacity: Capacity


class Placed(msgspec.Struct, frozen=True):
    """An engine that is on a machine, or is wanted there."""

    group: str
    machine: str
    needs: Capacity = NOTHING


def group(process: str) -> str:
    """What replicas have in common: the name of their process without the number."""
    return process.partition("+")[0]


def wanted(
    machines: Iterable[Machine],
    placed: Collection[Placed],
    group: str,
    needs: Capacity,
    suspect: Container[str] = (),
) -> str | None:
    """The machine for one more of a group, so that the loss of a machine takes as few of them as may be.

    Of those that have as few of the group, one with room; of these, the one with the fewest engines. Machines
    without processors are not meant for engines, unless all are so, and those that are `suspect` are the last
    choice. None where no machine is large enough.
    """
    large = [machine for machine in machines if needs.fits(machine.capacity)]
    candidates = [machine for machine in large if machine.capacity.cpus] or large
    candidates = [machine for machine in candidates if machine.id not in suspect] or candidates

    def rank(machine: Machine) -> tuple[int, bool, int, str]:
        there = [one for one in placed if one.machine == machine.id]
        free = machine.capacity - sum((one.needs for one in there), NOTHING)
        return sum(one.group == group for one in there), not needs.fits(free), len(there), machine.id

    best = min(candidates, key=rank, default=None)
    return best.id if best else None
