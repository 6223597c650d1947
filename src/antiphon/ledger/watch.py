"""Which processes have died: those whose beat stands still, by this process's own monotonic clock."""

from __future__ import annotations

from collections.abc import Mapping

PATIENCE_SECONDS = 15.0
"""How long a beat may stand still."""
GAP_SECONDS = 6.0
"""A pause between two looks after which the watching starts anew: nobody can tell who slept."""


class Watch:
    """Plain: told what was seen and when, it says who is given up."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        """Each epoch's last beat, and when it was first seen."""
        self._looked = 0.0

    def see(self, beats: Mapping[str, int], now: float) -> dict[str, int]:
        """The epochs to close, with the beat that was seen, of the `beats` of all open epochs but our own."""
        if now - self._looked > GAP_SECONDS:
            self.miss()
        self._looked = now
        self._seen = {
            epoch: seen if (seen := self._seen.get(epoch)) and seen[0] == beat else (beat, now)
            for epoch, beat in beats.items()
        }
        return {epoch: beat for epoch, (beat, since) in self._seen.items() if now - since >= PATIENCE_SECONDS}

    def miss(self) -> None:
        """Our own beat was not answered: nobody else's may have been."""
        self._seen.clear()
