"""The headers that tell a caller who it is and how it stands against its limits."""

from __future__ import annotations

from antiphon.admission.gate import Gate
from antiphon.values import Caller


def caller_headers(gate: Gate, caller: Caller) -> dict[str, str]:
    """`openai-organization`, `openai-project` and the `x-ratelimit-*` of requests, with Go durations.

    `x-ratelimit-*-queued-requests` are ours: how many requests of the organization may wait for an engine.
    """
    rate, waiting = gate.standing(caller)
    headers = {
        "openai-organization": caller.organization,
        "openai-project": caller.project_id,
        "x-ratelimit-limit-queued-requests": str(waiting.limit),
        "x-ratelimit-remaining-queued-requests": str(waiting.remaining),
    }
    if rate is not None:
        headers["x-ratelimit-limit-requests"] = str(rate.limit)
        headers["x-ratelimit-remaining-requests"] = str(rate.remaining)
        headers["x-ratelimit-reset-requests"] = go_duration(rate.reset)
    return headers


def go_duration(seconds: float) -> str:
    """Seconds as Go prints them, to the millisecond: `20ms`, `1s`, `6m0s`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
