"""The bars of speech, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import percentile
from benchmarks.grids import Bar, least, most
from benchmarks.speech.accuracy import OTHERS
from benchmarks.speech.long import ENGLISH, HOUR
from benchmarks.speech.values import ANTIPHON, BATCHED, MINIMAL, WHISPER, Fair, LongPass, Results, Short

CLIPS = ((1, WHISPER, 3.0), (16, WHISPER, 4.0), (16, MINIMAL, 5.0))
"""Clients, the other side, and how often its real-time factor Antiphon's should be."""
CLIP_LATENCY = 0.35
"""Of faster-whisper's."""
POINTS = {"en": 0.5, OTHERS: 1.0}
LONG = 2.0
FIRST_TEXT = 2.0
BATCH = 0.5
"""Seconds of one bounded batch, which a clip may have to wait for."""
SCHEDULING = 0.1
"""Seconds: threads of two lanes and of the decoder share the cores with the clip's."""
MEMORY_MIB = 600.0


def bars(found: Results) -> list[Bar]:
    """Those of the parts that were measured."""
    return [
        *(_short(found.short) if found.short else ()),
        *(_long(found.long) if found.long else ()),
        *(_fair(found.fair) if found.fair else ()),
    ]


def pace(short: Short, side: str, clients: int) -> float | None:
    """A side's real-time factor; None where it was not measured."""
    found = [one.real_time_factor for one in short.pace if (one.side, one.clients) == (side, clients)]
    return found[0] if found else None


def _short(short: Short) -> Iterator[Bar]:
    for clients, other, times in CLIPS:
        ours, theirs = pace(short, ANTIPHON, clients), pace(short, other, clients)
        if ours and theirs:
            yield least(f"clips, {_clients(clients)}, throughput to {other}'s", ours / theirs, times)
    share = short.clip_p50[ANTIPHON] / short.clip_p50[WHISPER]
    yield Bar(
        name=f"a clip of {short.clip_seconds:.1f} s, median latency to {WHISPER}'s",
        wanted=f"at most {CLIP_LATENCY:.2f}x",
        measured=f"{share:.2f}x",
        met=share <= CLIP_LATENCY,
    )
    for one in short.errors:
        if one.group in POINTS:
            points = one.ours - one.theirs
            group = "English" if one.group == "en" else "other languages"
            yield Bar(
                name=f"word error rate, {group}, {_clients(one.clients)}, less {WHISPER}'s",
                wanted=f"at most {POINTS[one.group]:+.1f} points",
                measured=f"{points:+.2f} ({one.low:+.2f} to {one.high:+.2f})",
                met=points <= POINTS[one.group],
            )


def _long(passes: list[LongPass]) -> Iterator[Bar]:
    found = {(one.recording, one.side): one for one in passes}
    for recording in (ENGLISH, HOUR):
        ours, theirs = found.get((recording, ANTIPHON)), found.get((recording, BATCHED))
        if ours and theirs:
            ratio = ours.real_time_factor / theirs.real_time_factor
            yield least(f"{length(ours.seconds)}, throughput to {BATCHED}'s", ratio, LONG)
    if hour := found.get((HOUR, ANTIPHON)):
        name = length(hour.seconds)
        yield most(f"{name}, first text", hour.first, FIRST_TEXT, "s", 2)
        yield most(f"{name}, memory of the engine", hour.peak_mib, MEMORY_MIB, "MiB", 0)


def _fair(fair: Fair) -> Iterator[Bar]:
    limit = percentile(fair.idle, 95) + BATCH + SCHEDULING
    name = f"a clip of {fair.clip_seconds:.1f} s behind {length(fair.long_seconds)}, p95"
    if fair.loaded:
        yield most(name, percentile(fair.loaded, 95), limit, "s", 2)


def length(seconds: float) -> str:
    """A length for people: `8 min`, `45 s`."""
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"
