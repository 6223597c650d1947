"""The headers that tell a caller who it is and how it stands against its limits."""

from __future__ import annotations

from antiphon.admission.buckets import Standing
from antiphon.admission.gate import Gate
from antiphon.values import Caller

_SHOWN = ("requests", "tokens")
"""Clients know no other headers: sound is shown by its requests."""


def caller_headers(gate: Gate, caller: Caller, standing: Standing) -> dict[str, str]:
    """`openai-organization`, `openai-project`, and `x-ratelimit-*` of whatever is limited, with Go durations.

    `standing` is against the limits of the snapshot that was asked for. Where requests or tokens are limited
    by the minute and by the day, the limit with less remaining is shown. `x-ratelimit-*-queued-requests` are
    ours: how many requests of the organization may wait for an engine.
    """
    room = gate.room(caller)
    headers = {
        "openai-organization": caller.organization,
        "openai-project": caller.project_id,
        "x-ratelimit-limit-queued-requests": str(room.limit),
        "x-ratelimit-remaining-queued-requests": str(room.remaining),
    }
    for kind in _SHOWN:
        quotas = [quota for quota in standing if quota.meter.counts == kind]
        if quotas:
            nearest = min(quotas, key=lambda quota: quota.remaining)
            headers[f"x-ratelimit-limit-{kind}"] = str(nearest.limit)
            headers[f"x-ratelimit-remaining-{kind}"] = str(nearest.remaining)
            headers[f"x-ratelimit-reset-{kind}"] = go_duration(nearest.reset)
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
