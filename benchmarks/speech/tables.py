"""The tables of a run, the same for the terminal and for the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import grids
from benchmarks.figures import percentile
from benchmarks.grids import Grid
from benchmarks.speech import values
from benchmarks.speech.accuracy import OTHERS
from benchmarks.speech.bars import length, pace
from benchmarks.speech.values import ANTIPHON, BATCHED, MINIMAL, WHISPER, Results

LANGUAGES = {
    "en": "English",
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "pt": "Portuguese",
    OTHERS: "all but English",
}


def clips(found: Results) -> Grid | None:
    """Throughput and latency of short clips."""
    if found.short is None:
        return None
    rows = []
    for one in found.short.pace:
        ours = pace(found.short, ANTIPHON, one.clients)
        ratio = f"{ours / one.real_time_factor:.2f}x" if ours and one.side != ANTIPHON else ""
        rows.append(
            (
                one.side,
                str(one.clients),
                f"{one.real_time_factor:.1f}",
                ratio,
                f"{one.p50:.2f}",
                f"{one.p95:.2f}",
            )
        )
    title = f"{found.short.clips} clips, {found.short.seconds:.0f} s of sound"
    columns = ("side", "clients", "real-time factor", "Antiphon is", "p50 s", "p95 s")
    return Grid(title, columns, rows)


def one_clip(found: Results) -> Grid | None:
    """Latency of the clip of about 5 s."""
    if found.short is None:
        return None
    theirs = found.short.clip_p50[WHISPER]
    rows = [
        (side, f"{seconds:.2f}", f"{seconds / theirs:.2f}x") for side, seconds in found.short.clip_p50.items()
    ]
    return Grid(
        f"A clip of {found.short.clip_seconds:.1f} s, one client",
        ("side", "p50 s", "of faster-whisper"),
        rows,
    )


def errors(found: Results) -> Grid | None:
    """Word error rates, and what faster-whisper's are beside."""
    if found.short is None:
        return None
    rows = [
        (
            LANGUAGES.get(one.group, one.group),
            str(one.clients),
            str(one.clips),
            f"{one.ours:.2f} %",
            f"{one.theirs:.2f} %",
            f"{one.ours - one.theirs:+.2f}",
            f"{one.low:+.2f} to {one.high:+.2f}",
        )
        for one in found.short.errors
    ]
    columns = ("language", "clients", "clips", ANTIPHON, WHISPER, "points", "95 % interval")
    return Grid("Word error rate", columns, rows)


def recordings(found: Results) -> Grid | None:
    """Long recordings."""
    if found.long is None:
        return None
    ours = {one.recording: one.real_time_factor for one in found.long if one.side == ANTIPHON}
    rows = [
        (
            f"{length(one.seconds)}, {one.recording.split(',')[0]}",
            one.side,
            f"{one.real_time_factor:.1f}",
            f"{ours[one.recording] / one.real_time_factor:.2f}x" if one.side != ANTIPHON else "",
            f"{one.error_rate:.2f} %",
            f"{one.substituted} / {one.missing} / {one.added}",
            f"{one.first:.2f}",
            f"{one.peak_mib:.0f}",
        )
        for one in found.long
    ]
    columns = ("recording", "side", "real-time factor", "Antiphon is", "word error rate",
               "wrong / missing / added", "first text s", "peak MiB")  # fmt: skip
    return Grid("Long recordings", columns, rows)


def fair(found: Results) -> Grid | None:
    """A short clip alone and behind a long recording."""
    if found.fair is None:
        return None
    one = found.fair
    rows = [
        (
            name,
            str(len(values)),
            *(f"{percentile(values, percent):.2f}" for percent in (50, 95)),
            pace_of_long,
        )
        for name, values, pace_of_long in (
            ("alone", one.idle, ""),
            (f"behind {length(one.long_seconds)}", one.loaded, f"{one.real_time_factor:.1f}"),
        )
        if values
    ]
    columns = ("the clip is", "times", "p50 s", "p95 s", "real-time factor of the recording meanwhile")
    return Grid(f"A clip of {one.clip_seconds:.1f} s every 2 s", columns, rows)


def bars(found: Results) -> Grid | None:
    return grids.bars(found.bars)


def headline(found: Results) -> Grid | None:
    """A handful of rows for people who have a minute."""
    if found.short is None or found.long is None:
        return None
    short = found.short
    rows = []
    for clients in sorted({one.clients for one in short.pace}):
        sides = [pace(short, side, clients) for side in (ANTIPHON, WHISPER, MINIMAL)]
        rows.append((f"clips, {clients} at once: real-time factor", *map(_figure, sides)))
    for name in dict.fromkeys(one.recording for one in found.long):
        by_side = {one.side: one for one in found.long if one.recording == name}
        factors = [
            by_side[side].real_time_factor if side in by_side else None for side in (ANTIPHON, BATCHED)
        ]
        title = f"{length(by_side[ANTIPHON].seconds)}, {name.split(',')[0]}: real-time factor"
        rows.append((title, _figure(factors[0]), f"{_figure(factors[1])} (batched)", ""))
    for one in short.errors:
        if one.clients == 1 and one.group in ("en", OTHERS):
            name = f"word error rate, {LANGUAGES[one.group]}"
            rows.append((name, f"{one.ours:.2f} %", f"{one.theirs:.2f} %", ""))
    clip = [f"{short.clip_p50[side]:.2f} s" for side in (ANTIPHON, WHISPER, MINIMAL)]
    rows.append((f"a clip of {short.clip_seconds:.1f} s: median latency", *clip))
    columns = ("Speech, Whisper base", ANTIPHON, "faster-whisper in process", "behind a minimal server")
    return Grid("Speech", columns, rows)


def differing(found: Results) -> Grid | None:
    """The words on which Antiphon and faster-whisper disagree."""
    if found.short is None or not found.short.differing:
        return None
    rows = [(one.clip, one.ours or "–", one.theirs or "–") for one in found.short.differing]
    return Grid("Differing words, one client", ("clip", ANTIPHON, WHISPER), rows)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


GRIDS: dict[str, Callable[[Results], Grid | None]] = {
    "clips": clips,
    "one-clip": one_clip,
    "errors": errors,
    "recordings": recordings,
    "fair": fair,
    "differing": differing,
    "bars": bars,
}


def show(console: Console, found: Results) -> None:
    grids.show(console, about(found), shown(found, tuple(GRIDS)))


def shown(found: Results, names: Sequence[str]) -> list[Grid]:
    return [grid for name in names if (grid := GRIDS[name](found)) is not None]


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run of each beam in turn; `headline` is of the
    widest beam alone. None where there are no results."""
    results = values.newest(folder)
    return partial(block, results) if results else None


def block(results: Sequence[Results], name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    if name == "headline":
        grid = headline(results[0])
        return f"{about(results[0])}.\n\n{grid.markdown()}" if grid else ""
    texts = []
    for found in results:
        if grid := GRIDS[name](found):
            texts += [f"Beam {found.facts.beam}, {found.date}. {grid.title}:", grid.markdown()]
    return "\n\n".join(texts)


def about(found: Results) -> str:
    """The machine, the model and the day."""
    facts = found.facts
    return (
        f"{found.place}; {facts.model}, int8, "
        f"beam {facts.beam}, {facts.threads} threads; faster-whisper {found.versions['faster-whisper']}, "
        f"for several clients with {facts.workers} model workers; {found.date}"
    )
