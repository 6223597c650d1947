"""The bars of chat, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.chat.values import ANTIPHON, REQUANTIZED, SHIPPED, Quality, Results, Row
from benchmarks.grids import Bar, least, most

TIMES = ((1, SHIPPED, 1.0), (4, SHIPPED, 2.0), (16, SHIPPED, 3.0), (32, SHIPPED, 3.0), (32, REQUANTIZED, 2.0))
"""Clients, the other side, and how often its tokens a second Antiphon's should be."""
SHARED_TIMES = 10.0
FIRST_SHARE = 0.5
"""Of the slowest first tokens of llama.cpp."""
GAPS = 4.0
"""The 99th percentile of gaps under the mixed load, to their median."""
PERPLEXITY = 1.02


def bars(found: Results) -> list[Bar]:
    """Those whose parts were measured."""
    return [*_clients(found), *_others(found), *(_quality(found.quality) if found.quality else ())]


def rate(row: Row) -> float:
    """Tokens a second, the median."""
    return row.median(lambda one: one.tokens_per_second)


def _clients(found: Results) -> Iterator[Bar]:
    for clients, other, times in TIMES:
        ours, theirs = (found.row("clients", clients, side) for side in (ANTIPHON, other))
        if ours and theirs:
            name = f"{clients} client{'s' if clients > 1 else ''}: tokens a second, to {other}'s"
            yield least(name, rate(ours) / rate(theirs), times)
    clients = max((row.clients for row in found.rows if row.load == "clients"), default=0)
    ours, theirs = (found.row("clients", clients, side) for side in (ANTIPHON, SHIPPED))
    if ours and theirs:
        share = ours.median(lambda one: one.first_p99) / theirs.median(lambda one: one.first_p99)
        name = f"{clients} clients: first token, 99th percentile, to {SHIPPED}'s"
        yield most(name, share, FIRST_SHARE, "x", 2)


def _others(found: Results) -> Iterator[Bar]:
    for row in found.rows:
        if row.load == "shared" and row.side == ANTIPHON:
            theirs = found.row("shared", row.clients, REQUANTIZED)
            if theirs:
                seconds = [one.median(lambda one: one.seconds) for one in (theirs, row)]
                name = f"{row.clients} clients with one system prompt: speed, to {REQUANTIZED}'s"
                yield least(name, seconds[0] / seconds[1], SHARED_TIMES)
        if row.load == "mixed" and row.side == ANTIPHON:
            ratio = row.median(lambda one: one.gap_p99 / one.gap_p50 if one.gap_p50 else 0.0)
            name = "streams beside long prompts: gaps, 99th percentile to median"
            yield most(name, ratio, GAPS, "x", 1)


def _quality(found: Quality) -> Iterator[Bar]:
    if found.perplexity and found.reference_perplexity:
        ratio = found.perplexity / found.reference_perplexity
        yield most("perplexity, to the file's weights in 16 bits", ratio, PERPLEXITY, "x", 3)
