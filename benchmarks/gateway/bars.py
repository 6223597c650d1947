"""The bars of the gateway, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gateway.values import ANTIPHON, COMMITS, LITELLM, SMG, UPSTREAM, Results, Side
from benchmarks.grids import Bar, least, most

LITELLM_TIMES, SMG_TIMES = 100.0, 1.0
"""How often their requests a second Antiphon's should be."""
STREAMS_TIMES = 1.0
ADDED_MS = 0.1
"""More than smg adds for one client, besides what the disk takes."""
CHUNK_MICROSECONDS = 60.0
LATE_PERCENT = 0.1
ARRIVED = 0.99
"""Of the events that a held stream is to bring: fewer is not held."""
MEMORY_MIB = 100.0
CLIENT_TIMES = 3.0
"""How much faster than any gateway the client and the upstream have to be, without one between them."""


def bars(found: Results) -> list[Bar]:
    """Those whose sides were measured."""
    ours = found.side(ANTIPHON)
    return [*_checks(found), *(_bars(found, ours) if ours else ())]


def added(found: Results, side: Side, percent: int = 50) -> float | None:
    """Milliseconds that a side adds to a percentile (50 or 99) of one client; None if it was not measured."""
    direct = found.side(UPSTREAM)
    if direct is None or direct is side:
        return None
    ours, alone = ((one.one_p50, one.one_p99)[percent == 99] for one in (side, direct))
    return None if ours is None or alone is None else ours - alone


def _bars(found: Results, ours: Side) -> Iterator[Bar]:
    smg, litellm = found.side(SMG), found.side(LITELLM)
    yield from _ratio("requests a second", ours.requests_per_second, litellm, LITELLM_TIMES)
    yield from _ratio("requests a second", ours.requests_per_second, smg, SMG_TIMES)
    yield from _ratio("streams a second", ours.streams_per_second, smg, STREAMS_TIMES, streams=True)
    if smg and (theirs := added(found, smg)) is not None and (mine := added(found, ours)) is not None:
        disk = COMMITS * found.commit_ms
        name = f"added for one client, median ({COMMITS} durable commits of {found.commit_ms:.2f} ms apart)"
        yield most(name, mine - disk, theirs + ADDED_MS, "ms", 2)
    if ours.chunk_microseconds is not None:
        yield most("processor time for a paced chunk", ours.chunk_microseconds, CHUNK_MICROSECONDS, "µs", 0)
    if held := ours.held:
        name = f"{found.plan['held_streams']} streams: gaps over 250 ms"
        yield Bar(
            name=name,
            wanted=f"under {LATE_PERCENT:g} %, every chunk in time",
            measured=f"{held.late_percent:.3f} %, {100 * held.arrived:.1f} % of the chunks",
            met=held.late_percent < LATE_PERCENT and held.arrived >= ARRIVED,
        )
    yield most("resident memory", ours.resident_mib, MEMORY_MIB, "MiB", 0)
    if ours.problems:
        yield Bar(name="everything was measured", wanted="yes", measured=ours.problems[0], met=False)


def _checks(found: Results) -> Iterator[Bar]:
    """What must hold for the figures to mean anything."""
    direct = found.side(UPSTREAM)
    for name, rates in (
        ("requests", {side.name: side.requests_per_second for side in found.sides}),
        ("streams", {side.name: side.streams_per_second for side in found.sides}),
    ):
        fastest = max((rate for side, rate in rates.items() if rate and side != UPSTREAM), default=None)
        if direct and fastest and (alone := rates[UPSTREAM]):
            name = f"{name} a second of client and upstream alone, to the fastest gateway's"
            yield least(name, alone / fastest, CLIENT_TIMES)


def _ratio(
    name: str, ours: float | None, side: Side | None, times: float, *, streams: bool = False
) -> Iterator[Bar]:
    theirs = side and (side.streams_per_second if streams else side.requests_per_second)
    if side and ours and theirs:
        yield least(f"{name} to {side.name}'s", ours / theirs, times)
