"""Which slot of an engine takes a prompt: one that still holds its beginning, of the same organization.

An engine keeps in each slot what it computed for the last prompt there. What one organization asked must not
show in how fast another is answered, so a slot that another one used last is taken without what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec


class Slot(msgspec.Struct, frozen=True):
    """A slot for one request. `reuse`: whether what it holds is the same organization's."""

    id: int
    reuse: bool


@dataclass
class _State:
    organization: str | None = None
    """Whose prompt it holds; None if that is not known."""
    tokens: Sequence[int] = ()
    busy: int = 0


class Slots:
    """The slots of one engine process, all of whose requests pass through here."""

    def __init__(self, number: int) -> None:
        self._states = [_State() for _ in range(number)]
        self._free: dict[int, None] = dict.fromkeys(range(number))
        """In the order in which they were given back."""

    @contextmanager
    def take(self, organization: str, tokens: Sequence[int]) -> Iterator[Slot]:
        """Hold a slot for as long as the block runs.

        It is the free one that holds most of the prompt's beginning, among equals the one that was used least
        recently. If all are busy, requests queue up in the engine; what those leave behind is not relied on.
        """
        free = bool(self._free)
        chosen = self._best(organization, tokens) if free else self._least_busy()
        state = self._states[chosen]
        reuse = free and state.organization == organization
        state.organization, state.tokens = (organization, tokens) if free else (None, ())
        self._free.pop(chosen, None)
        state.busy += 1
        try:
            yield Slot(chosen, reuse)
        except BaseException:
            # How far the engine came with it is not known.
            state.organization, state.tokens = None, ()
            raise
        finally:
            state.busy -= 1
            if not state.busy:
                self._free[chosen] = None

    def _best(self, organization: str, tokens: Sequence[int]) -> int:
        chosen, most = next(iter(self._free)), 0
        for index in self._free:
            state = self._states[index]
            if state.organization == organization and (kept := common(state.tokens, tokens)) > most:
                chosen, most = index, kept
                if most == len(tokens):
                    break
        return chosen

    def _least_busy(self) -> int:
        return min(range(len(self._states)), key=lambda index: self._states[index].busy)


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many items both begin with."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    low, high = 0, length
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle)
    return low
