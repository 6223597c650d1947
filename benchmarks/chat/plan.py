"""How much is measured: a full run of three quarters of an hour on two cores, or a quick one of minutes."""

from __future__ import annotations

import msgspec

PARTS = ("clients", "long", "shared", "mixed", "quality")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths of prompts and answers are in tokens, more or less: every side counts its own."""

    clients: tuple[int, ...] = (1, 4, 16, 32)
    rounds: int = 3
    least_requests: int = 4
    """In a round; fewer clients send several in turn."""
    prompt: int = 200
    answer: int = 128
    long_clients: int = 4
    long_prompt: int = 1500
    long_answer: int = 32
    shared_clients: int = 32
    shared_rounds: int = 2
    """Each takes llama.cpp minutes."""
    mixed_streams: int = 8
    mixed_long: int = 2
    """Clients that send long prompts meanwhile."""
    mixed_seconds: float = 20.0
    questions: int = 40
    """Whose greedy answers are compared with the reference's."""
    perplexity_tokens: int = 8192


FULL = Plan()
QUICK = Plan(
    clients=(1, 4),
    rounds=1,
    least_requests=2,
    answer=32,
    long_clients=1,
    shared_clients=4,
    shared_rounds=1,
    mixed_streams=2,
    mixed_long=1,
    mixed_seconds=5.0,
    questions=4,
    perplexity_tokens=1024,
)
