"""Hold sixty-four uploads of 25 MiB open, and a thousand connections that send a byte now and then.

    python -m benchmarks.pressure [--quick] [--only uploads,sockets] [--fresh] [--out FOLDER]

Uploads: all of them arrive at once but for their last bytes; then they end, and are transcribed or refused.
What counts is how much more memory is resident in the gateway at most. Sockets: a thousand connections that
never end their headers, and come again when they are cut off, beside an organization that asks at a steady
rate, with and without them in turns; what counts is its answers' 99th percentile, by the median of the
ratios. Chat engines only keep time; the speech engine is real.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
import psutil
from rich.console import Console

from benchmarks import grids, load, runs
from benchmarks.figures import median
from benchmarks.grids import Bar, Grid, most
from benchmarks.isolation import Tenant
from benchmarks.journal import Journal
from benchmarks.load import p99, served
from benchmarks.processes import Server

KIND = "pressure"
PACKAGES = ("antiphon", "faster-whisper", "aiohttp")
PARTS = ("uploads", "sockets")
UPLOADS, MIB = 64, 25
SOCKETS, BYTE_SECONDS = 1000, 2.0
RATE = 8.0
ROUNDS, SECONDS = 5, 30.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 6.0
GROWTH = 256.0
WORST = 1.2
PIECE = 64 * 1024
LAST = 1024
"""Bytes of an upload that are held back until all others have arrived."""
WAV = (
    b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
    b"data\xff\xff\xff\x7f"
)
"""The head of a recording that is silence to its end."""


class Held(msgspec.Struct, frozen=True):
    """MiB resident before, and at most while uploads arrived and ended; how those ended."""

    gateway_before: float
    gateway_most: float
    engines_before: float
    engines_most: float
    ends: dict[str, int]


class Turn(msgspec.Struct, frozen=True):
    """99th percentiles in seconds, without the sockets and beside them; how often those were cut off."""

    alone: float
    beside: float
    unserved: int
    cut: int

    @property
    def ratio(self) -> float:
        return self.beside / self.alone


class Results(runs.Run, frozen=True, kw_only=True):
    uploads: Held | None
    turns: list[Turn]


def bars(uploads: Held | None, turns: Sequence[Turn]) -> list[Bar]:
    found = []
    if uploads:
        name = f"resident memory of the gateway, more with {UPLOADS} uploads of {MIB} MiB"
        found.append(most(name, uploads.gateway_most - uploads.gateway_before, GROWTH, "MiB", 0))
    if turns:
        name = f"99th percentile beside {SOCKETS:,} slow sockets, to that without"
        found.append(most(name, median([turn.ratio for turn in turns]), WORST, "x", 2))
    return found


def table(found: Results) -> Grid:
    rows = []
    if held := found.uploads:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(held.ends.items()))
        gateway, engines = held.gateway_most - held.gateway_before, held.engines_most - held.engines_before
        rows += [
            (f"{UPLOADS} uploads of {MIB} MiB: gateway, MiB more at most", f"{gateway:.0f}"),
            ("engines, MiB more at most", f"{engines:.0f}"),
            ("uploads ended with", ends),
        ]
    if turns := found.turns:
        alone, beside = (median([getattr(turn, side) for turn in turns]) for side in ("alone", "beside"))
        rows += [
            (f"{SOCKETS:,} slow sockets: p99 without, ms", f"{1000 * alone:.0f}"),
            ("p99 beside them, ms", f"{1000 * beside:.0f}"),
            ("ratio, median of rounds", f"{median([turn.ratio for turn in turns]):.2f}"),
            ("sockets cut off", f"{sum(turn.cut for turn in turns):,}"),
        ]
    return Grid("What is held open", ("", "measured"), rows)


BLOCKS: dict[str, Callable[[Results], Grid | None]] = {
    "held": table,
    "bars": lambda one: grids.bars(one.bars),
}


def newest(folder: Path) -> Callable[[str], str] | None:
    """Gives the text of a table with that name, for the newest run; None where there is none."""
    found = runs.newest(folder, KIND, Results)
    return partial(block, found) if found else None


def block(found: Results, name: str) -> str:
    """Raises `KeyError` for a table that does not exist."""
    grid = BLOCKS[name](found)
    return f"{found.place}; {found.date}. {grid.title}:\n\n{grid.markdown()}" if grid else ""


class Memory:
    """Reads, again and again, what is resident; `most` is the largest of each."""

    def __init__(self, server: Server) -> None:
        self._root = psutil.Process(server.pid)
        self.before = self.most = self.now()

    def now(self) -> tuple[float, float]:
        """MiB of the gateway, and of its engines."""
        engines = 0
        for child in self._root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                engines += child.memory_info().rss
        return self._root.memory_info().rss / 2**20, engines / 2**20

    async def watch(self) -> None:
        while True:
            gateway, engines = self.now()
            self.most = max(self.most[0], gateway), max(self.most[1], engines)
            await asyncio.sleep(0.05)


async def uploads(server: Server, tenant: Tenant, count: int) -> Held:
    memory, arrived, all_there = Memory(server), Counter[str](), asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield WAV
        left = MIB * 2**20 - len(WAV) - LAST
        while left > 0:
            yield bytes(min(PIECE, left))
            left -= PIECE
        arrived["whole"] += 1
        if arrived["whole"] == count:
            all_there.set()
        await all_there.wait()
        yield bytes(LAST)

    async def send(session: aiohttp.ClientSession) -> str:
        form = aiohttp.FormData()
        form.add_field("model", "whisper-1")
        form.add_field("file", content(), filename="sound.wav")
        async with session.post(f"{tenant.url}/audio/transcriptions", data=form) as answer:
            await answer.read()
            return str(answer.status)

    watching = asyncio.create_task(memory.watch())
    timeout = aiohttp.ClientTimeout(total=600)
    headers = {"authorization": f"Bearer {tenant.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        ends = await asyncio.gather(*(send(session) for _ in range(count)))
    watching.cancel()
    return Held(
        gateway_before=memory.before[0],
        gateway_most=memory.most[0],
        engines_before=memory.before[1],
        engines_most=memory.most[1],
        ends=dict(Counter(ends)),
    )


@asynccontextmanager
async def sockets(server: Server, count: int) -> AsyncIterator[Counter[str]]:
    """So many connections that never end their headers, for as long as the block runs."""
    at, seen = urlsplit(server.url), Counter[str]()

    async def hold(number: int) -> None:
        await asyncio.sleep(BYTE_SECONDS * number / count)
        while True:
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            seen["opened"] += 1
            try:
                writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ")
                while not reader.at_eof():
                    writer.write(b"a")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(BYTE_SECONDS):
                            await reader.read(1)
                seen["cut"] += 1
            except ConnectionError:
                seen["cut"] += 1
            finally:
                writer.transport.abort()

    tasks = [asyncio.create_task(hold(number)) for number in range(count)]
    try:
        while seen["opened"] < count:
            await asyncio.sleep(0.1)
            if broken := [task for task in tasks if task.done()]:
                broken[0].result()
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def turn(server: Server, tenant: Tenant, seconds: float, number: int) -> Turn:
    alone = served(await load.offered(tenant, RATE, seconds, number))
    async with sockets(server, SOCKETS) as seen:
        asked = await load.offered(tenant, RATE, seconds, number)
    beside = served(asked)
    before, during = (p99([one.took for one in found]) for found in (alone, beside))
    return Turn(before, during, unserved=len(asked) - len(beside), cut=seen["cut"])


async def _measured(quick: bool, only: Sequence[str], journal: Journal) -> tuple[Held | None, list[Turn]]:
    runs.end_with_sigterm()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(files, 4 * SOCKETS), most_files), most_files))
    with load.paced(also=("whisper-1",)) as server:
        [tenant] = load.tenants(server, "caller")
        await load.asking(tenant, 4, 2)
        turns = []
        if "sockets" in only:
            for n in range(rounds):
                turns.append(
                    await journal.once(f"round {n}", Turn, partial(turn, server, tenant, seconds, n))
                )
        held = None
        if "uploads" in only:
            count = UPLOADS // 8 if quick else UPLOADS
            held = await journal.once("uploads", Held, partial(uploads, server, tenant, count))
        return held, turns


def _show(console: Console, found: Results) -> None:
    grids.show(console, f"{found.place}; {found.date}", [table(found), grids.bars(found.bars)])


def main() -> None:
    parser = runs.parser(KIND, __doc__.splitlines()[0], PARTS, "one short round, and eight uploads")
    given = parser.parse_args()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES)
    began = time.monotonic()
    held, turns = asyncio.run(_measured(given.quick, given.only, journal))
    found = Results(**runs.about(KIND, PACKAGES), uploads=held, turns=turns, bars=bars(held, turns))
    _show(console, found)
    console.print(f"{time.monotonic() - began:.0f} s")
    runs.finish(given, console, journal, partial(found.write, kind=KIND), PARTS)


if __name__ == "__main__":
    main()
