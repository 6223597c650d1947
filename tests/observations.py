"""What is told of a request that is over, as tests make it up."""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.values import Observation
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
