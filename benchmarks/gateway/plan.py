"""How much is measured: a full run of a quarter of an hour, or a quick one of two minutes."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds."""

    rounds: int = 5
    connections: int = 64
    tokens: int = 16
    """Of an answer that is not streamed."""
    stream_tokens: int = 32
    """Of a streamed answer whose tokens come at once."""
    warm_up: float = 1.0
    seconds: float = 4.0
    """For which requests, or streams, are counted."""
    paced_streams: int = 200
    paced_seconds: float = 10.0
    held_streams: int = 1000
    held_seconds: float = 30.0
    ramp: float = 8.0
    """Over which paced streams are begun, and which they are then given to run evenly."""


FULL = Plan()
QUICK = Plan(
    rounds=1, warm_up=0.5, seconds=1.0, paced_seconds=2.0, held_streams=400, held_seconds=4.0, ramp=1.0
)
