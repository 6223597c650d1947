"""The decisions of a pool, as plain functions: which replica serves, and when a failed one starts again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica is watched and started again; all in seconds."""

    probe: float = 2.0
    """Between two probes of a healthy engine."""
    retry: float = 0.05
    """Between two probes of one that does not answer yet, or not any more."""
    far: bool = False
    """Whether others run it, over a network."""
    backoff: float = 0.5
    """Before the second attempt in a row; every further one waits twice as long."""
    backoff_max: float = 30.0
    healthy: float = 5.0
    """Once it has been ready for so long, earlier failures count no more."""
    rest: float = 600.0
    """For so long it is ready at least before it is started anew for the memory that it holds."""


ELSEWHERE = Pace(retry=0.5, far=True)
"""For what others run."""
_FAVOUR = 0.25
"""How much fuller than the emptiest a replica may be that has begun a prompt before: a share of its slots."""
_CALM = 0.7
"""How full the others may become when one of several replicas is given up."""


def chosen(loads: Sequence[tuple[int, int]], home: int | None = None) -> int:
    """The position of the replica to use next, from (requests, slots) of each: the emptiest.

    `home` is the one that holds the beginning of the prompt: it is used unless it is much fuller.
    """
    full = [requests / slots for requests, slots in loads]
    emptiest = min(range(len(full)), key=full.__getitem__)
    return home if home is not None and full[home] < min(1.0, full[emptiest] + _FAVOUR) else emptiest


def replicas_wanted(
    now: int, ready: int, busy: int, waiting: int, slots: int, bounds: tuple[int, int]
) -> int:
    """How many replicas there should be, of `now`: enough for who waits; one less where the others suffice.

    `ready` of them serve already: another one than those that suffice comes only when all do. `slots` are of
    each; `bounds` the least and the most.
    """
    if waiting:
        wanted = max(now + (ready >= now), -(-(busy + waiting) // slots))
    elif busy <= _CALM * slots * (now - 1):
        wanted = now - 1
    else:
        wanted = now
    least, most = bounds
    return max(least, min(most, wanted))


def after_failure(failures: int, ready_seconds: float | None, pace: Pace) -> tuple[int, float]:
    """What follows the end of a replica: (failures in a row, seconds to wait before the next start).

    `failures` counts those before this one; `ready_seconds` is how long it was ready, None if it never was.
    One that had been ready is started again at once, if it was the first to fail.
    """
    if ready_seconds is not None and ready_seconds >= pace.healthy:
        failures = 0
    attempt = failures if ready_seconds is not None else failures + 1
    # The exponent is bounded: a float overflows after a thousand failures.
    delay = min(pace.backoff_max, pace.backoff * 2.0 ** min(attempt - 1, 60)) if attempt else 0.0
    return failures + 1, delay
