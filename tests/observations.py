"""What is told of a request that is over, as tests make it up; and who keeps what is told."""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.values import Caller, Observation
from service import CALLER


def seen(asked: Any = None, answered: Any = None, **more: Any) -> Observation:
    given: dict[str, Any] = {
        "request_id": "req_1",
        "caller": CALLER,
        "kind": "chat",
        "snapshot": "chat-1",
        "asked": b"" if asked is None else msgspec.json.encode(asked),
        "answered": b"" if answered is None else msgspec.json.encode(answered),
        "whole": True,
        "began_at": 1_800_000_000.0,
    }
    return Observation(**given | more)


class Watcher:
    """Keeps what it is told; of a recording, what it holds."""

    def __init__(self, wants: bool = True) -> None:
        self.told: list[Observation] = []
        self.recordings: list[bytes] = []
        self._wants = wants

    def wants(self, caller: Caller) -> bool:
        return self._wants

    def observe(self, seen: Observation) -> None:
        self.told.append(seen)
        if seen.recording:
            self.recordings.append(seen.recording.read_bytes())

    @property
    def only(self) -> Observation:
        [seen] = self.told
        return seen
