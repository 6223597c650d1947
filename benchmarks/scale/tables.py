"""The tables, the same for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from antiphon.ledger.books import BATCH
from benchmarks.grids import Grid
from benchmarks.scale.figures import Figures, read
from benchmarks.scale.sizes import (
    BUSY,
    CLIP_SECONDS,
    CONNECTIONS,
    DEFAULT_CONNECTIONS,
    FEW,
    GIB,
    GPU_REAL_TIME,
    GPU_TOKENS,
    MONTH,
    PARENT_CONNECTIONS,
    PROCESSES,
    SERVER_CORES,
    Size,
    at_once,
    beats,
    chunk_bytes,
    connections,
    database,
    gateways,
    leased,
    looking_up,
    processes,
    rollup_rows,
    row,
    sizes,
    stored,
    threads,
)


def cost(found: Figures) -> Grid:
    """What one chat asks of each part."""
    books, asked, counts = found.books, found.print.asked, found.print.counts
    little = found.print.books["SQLite"]
    waits = (asked.new_wait_microseconds - asked.known_wait_microseconds) / 1e3
    request = books.sizes["request"].row_bytes
    rows = [
        ("gateway: processor", f"{found.streamed * 1e3:.1f} ms",
         f"{found.request * 1e3:.2f} ms, and {found.chunk * 1e6:.0f} µs for each of {found.answer} chunks"),
        ("gateway: sent to the client", f"{found.answer * chunk_bytes() / 1e3:.0f} kB",
         f"{chunk_bytes()} bytes a chunk"),
        (f"gateway: to choose one of {found.print.chosen.engines:,} engines",
         f"{found.print.chosen.microseconds / 1e3:.1f} ms", "grows with their number"),
        ("gateway: journal", f"{found.print.journal:.0f} bytes", "2 records, each synced before it counts"),
        ("PostgreSQL: rows", "4", "1 request, 3 entries; 3 rollups, shared by a key's requests of a minute"),
        ("PostgreSQL: on disk", f"{found.row_bytes:,.0f} bytes",
         f"request {request:.0f}, entry {books.sizes['entry'].row_bytes:.0f} each, with their indexes"),
        ("SQLite: on disk, all of it", f"{little.total / little.requests:,.0f} bytes",
         "where it is used instead"),
        ("PostgreSQL: its log", f"{found.log_bytes:,.0f} bytes", "to each standby as well"),
        ("PostgreSQL: processor, posting", f"{books.server_microseconds:.0f} µs",
         f"a batch of {BATCH} records is {books.statements:.0f} statements"),
        ("the same, key and limits not remembered", f"{found.lookup * 1e6:.0f} µs",
         "2 transactions that read"),
        ("the same, organization new to the process", f"{asked.new_microseconds / 1e3:.1f} ms",
         f"5 transactions, of which 2 write; the client waits {waits:.0f} ms longer at least"),
        ("Valkey: processor, the default limit", f"{counts.default_microseconds:.0f} µs", "1 question"),
        ("the same, every limit set", f"{4 * counts.every_microseconds:.0f} µs",
         "4: in, prompt counted, answer counted, out"),
        ("engine: two cores", f"{1 / found.chat_rate:.2f} s",
         f"{found.prompt} tokens in, {found.answer} out, 32 at once"),
    ]  # fmt: skip
    return Grid("One chat", ("part", "asks", "which is"), rows)


def carried(found: Figures) -> Grid:
    """What the parts carry at each size, if all of it is streamed chat."""
    columns = sizes(found)
    rows: list[tuple[str, Callable[[Size], str]]] = [
        ("requests a second, average / peak", lambda s: f"{number(s.average)} / {number(s.peak)}"),
        ("requests a day", lambda s: count(s.a_day)),
        ("organizations / keys in use", lambda s: f"{s.organizations:,} / {s.keys:,}"),
        ("gateway processes, one core each", lambda s: f"{processes(found, s):,}"),
        ("their memory, GiB", lambda s: f"{processes(found, s) * found.resident_mib / 1024:,.1f}"),
        ("chats open at once, peak, CPU / GPU engines",
         lambda s: " / ".join(f"{chats:,.0f}" for chats in at_once(found, s))),
        ("of which in one process",
         lambda s: " / ".join(f"{chats / processes(found, s):,.0f}" for chats in at_once(found, s))),
        ("sent to clients, peak, Gbit/s", lambda s: number(s.peak * found.answer * chunk_bytes() * 8 / 1e9)),
        ("Valkey: questions a second, peak, 1 limit / all",
         lambda s: f"{number(s.peak)} / {number(4 * s.peak)}"),
        ("Valkey: threads at the peak, 1 limit / all", lambda s: " / ".join(map(number, threads(found, s)))),
        ("Valkey: memory, MiB, 1 limit / all",
         lambda s: " / ".join(number(s.keys * b / 2**20) for b in
                              (found.print.counts.default_bytes, found.print.counts.every_bytes))),
        ("connections to PostgreSQL, at most", lambda s: f"{connections(found, s):,}"),
        ("PostgreSQL: cores for posting, average / peak",
         lambda s: both(s, lambda rate: rate * found.books.server_microseconds / 1e6)),
        ("cores for keys and limits", lambda s: both(s, partial(looking_up, found, s))),
        ("cores for organizations new to a process",
         lambda s: both(s, partial(leased, found, s, processes(found, s)))),
        (f"the same, each sent to {FEW} processes",
         lambda s: both(s, partial(leased, found, s, min(FEW, processes(found, s))))),
        ("cores for beats", lambda s: number(beats(found, processes(found, s)))),
        ("rows a day: requests and entries", lambda s: count(4 * s.a_day)),
        ("rows a day: rollups", lambda s: count(rollup_rows(s))),
        ("GiB a day: tables / log",
         lambda s: f"{number(stored(found, s))} / {number(s.a_day * found.log_bytes / GIB)}"),
        ("GiB a month: tables", lambda s: number(MONTH * stored(found, s))),
        ("a proof of a month's books, hours",
         lambda s: number(MONTH * s.a_day * found.books.proof_microseconds / 3.6e9)),
    ]  # fmt: skip
    shown = [(name, *map(of, columns)) for name, of in rows]
    return Grid("Streamed chat", ("", *(size.name for size in columns)), shown)


def engines(found: Figures) -> Grid:
    """Engines for the average and the peak, each at most `BUSY`."""
    needs: list[tuple[str, float]] = [
        ("chat, 135M parameters, machines of two cores", found.chat_rate),
        (f"speech of {CLIP_SECONDS} s, machines of two cores", found.real_time / CLIP_SECONDS),
        ("chat, 8B parameters, GPUs (assumed)", GPU_TOKENS / found.answer),
        (f"speech of {CLIP_SECONDS} s, GPUs (assumed)", GPU_REAL_TIME / CLIP_SECONDS),
    ]
    large = sizes(found)[1:]
    rows = [
        (name, f"{rate:.2f}", *(both(size, partial(_engines, rate)) for size in large))
        for name, rate in needs
    ]  # fmt: skip
    names = [size.name for size in large]
    return Grid("Engines, average / peak", ("", "requests a second of one", *names), rows)


def _engines(each: float, rate: float) -> int:
    return math.ceil(rate / each / BUSY)


def full(found: Figures) -> Grid:
    """The peak at which each part of one installation is full, the first to be first."""
    counts, gateway = found.print.counts, BUSY / found.streamed
    limits: list[tuple[str, float, str]] = [
        ("the chat engine of two cores", BUSY * found.chat_rate, "a model of 135 million parameters"),
        ("one gateway process", gateway, "streamed chat"),
        (f"PostgreSQL's connections, {DEFAULT_CONNECTIONS} by default",
         (DEFAULT_CONNECTIONS - PARENT_CONNECTIONS) // CONNECTIONS * gateway,
         f"{CONNECTIONS} a process, {PARENT_CONNECTIONS} their parent"),
        (f"gateways of one machine, {PROCESSES}", gateways(found), "what `processes` allows"),
        ("PostgreSQL, every organization new to its process", database(found), f"{SERVER_CORES} cores"),
        ("the row that every batch changes", row(found),
         f"held {found.held_seconds * 1e3:.0f} ms by {BATCH // 2} requests, "
         f"{found.books.small_held_ms:.0f} by 10"),
        ("one Valkey, every limit", BUSY / (4 * counts.every_microseconds) * 1e6, "one thread"),
        ("one Valkey, the default limit", BUSY / counts.default_microseconds * 1e6, "one thread"),
        ("PostgreSQL, no key remembered", BUSY * SERVER_CORES / found.lookup, f"{SERVER_CORES} cores"),
        ("PostgreSQL, posting", BUSY * SERVER_CORES / found.books.server_microseconds * 1e6,
         f"{SERVER_CORES} cores"),
    ]  # fmt: skip
    rows = [(name, number(rate), why) for name, rate, why in sorted(limits, key=lambda limit: limit[1])]
    return Grid(f"Full at {BUSY:.0%}", ("part", "requests a second", "of"), rows)


def both(size: Size, of: Callable[[float], float]) -> str:
    return f"{number(of(size.average))} / {number(of(size.peak))}"


def number(value: float) -> str:
    """Two digits, or whole."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}" if value >= 0.01 else "0"


def count(value: float) -> str:
    """In thousands or more."""
    for name, unit in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if value >= unit:
            return f"{value / unit:,.3g} {name}"
    return f"{value:.0f}"


GRIDS: dict[str, Callable[[Figures], Grid]] = {
    "cost": cost,
    "carried": carried,
    "engines": engines,
    "full": full,
}


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest figures; None where some are missing."""
    found = read(folder)
    return partial(block, found) if found else None


def block(found: Figures, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    grid = GRIDS[name](found)
    return f"{grid.title}:\n\n{grid.markdown()}"
