"""Send twenty thousand requests of every kind, whose clients may leave, and look at what is left behind.

    python -m benchmarks.mixed [--engines real|paced] [--requests 20000] [--quick] [--fresh] [--out FOLDER]

A fifth of the clients leave. Chats and completions, streamed or not, embeddings, recordings and mutated
requests, of four organizations at once; every case follows from its number. A quarter warms up, then, with no
client left, file descriptors, connections, tasks, temporary files and processes are counted, and again at the
end: nothing may be more. What counts of memory
is the slope of a straight line through the resident memory of the gateway after the warm-up, with the upper
bound of its 95 % interval. All is computed by real engines, but for chat with `--engines paced`.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy
import psutil
from rich.console import Console
from rich.progress import Progress
from tests.alone import alone
from tests.sounds import encode, silence
from tests.tiny_models import write_bert

from antiphon.catalogue.pull import pull
from benchmarks import fuzz, grids, runs
from benchmarks.grids import Bar, Grid, most
from benchmarks.isolation import PROGRAMS, Tenant
from benchmarks.load import client
from benchmarks.processes import Server, antiphon

KIND = "mixed"
PACKAGES = ("antiphon", "openvino-genai", "faster-whisper", "aiohttp")
REQUESTS, QUICK_REQUESTS = 20_000, 400
WARM_UP = 0.25
READINGS = 200
"""Of memory."""
ORGANIZATIONS, CLIENTS = 4, 4
"""Clients of each."""
KINDS = {
    "chat": 33, "chat, streamed": 25, "completion": 10, "completion, streamed": 6, "embedding": 10,
    "recording": 4, "bad input": 12,
}  # fmt: skip
"""Of a hundred requests."""
LEAVE, LEAVE_SECONDS = 0.2, 1.0
SPOKEN = 0.1
"""Of recordings; the others are a second of silence, which engines need not read."""
WORST = 100.0
"""Bytes of resident memory that a request may leave behind."""
QUIET_SECONDS, STEADY_READINGS = 90.0, 15
EMBEDDING = "tiny-bert-2024-01-01"
SPEECH = Path(__file__).parents[1] / "tests" / "data" / "en_cuttledoc_fleurs-en-004.ogg"
SETTINGS = {
    "PACED": "token_delay=0.005",
    "ANTIPHON_REQUESTS_PER_MINUTE": "0",
    "ANTIPHON_LOG_LEVEL": "warning",
    "ANTIPHON_CHAT_SECONDS": "60",
}


class Left(msgspec.Struct, frozen=True):
    """What a server and its engines hold while nobody asks."""

    descriptors: int
    """Without those of databases' files: their pools open four connections each, as they are needed."""
    connections: int
    tasks: int
    files: int
    """Temporary ones, and uploads."""
    processes: int

    def more(self, before: Left) -> dict[str, int]:
        """What there is more of than before."""
        names = self.__struct_fields__
        grown = {name: getattr(self, name) - getattr(before, name) for name in names}
        return {name: count for name, count in grown.items() if count > 0}


class Soak(msgspec.Struct, frozen=True):
    """`samples`: requests sent, and bytes resident in the gateway and in its engines, after the warm-up."""

    before: Left
    after: Left
    ends: dict[str, int]
    """How requests ended: a status, `left`, or what was wrong."""
    seconds: float
    samples: list[tuple[int, int, int]]


class Slope(msgspec.Struct, frozen=True):
    """Bytes a request, and the upper bound of the 95 % interval."""

    bytes: float
    most: float


class Results(runs.Run, frozen=True, kw_only=True):
    engines: str
    requests: int
    soak: Soak


def slope(samples: Sequence[tuple[float, float]]) -> Slope:
    """Of the straight line with the least squares through points of requests and bytes.

    Neighbours are alike, so the points are first put together into twelve means of equal size, for which the
    interval is right (Student's t of ten degrees of freedom). Raises `ValueError` for fewer than 24 points.
    """
    groups = 12
    if len(samples) < 2 * groups:
        raise ValueError(f"{len(samples)} readings are too few")
    size = len(samples) // groups
    kept = numpy.array(samples[-groups * size :], float).reshape(groups, size, 2).mean(axis=1)
    x, y = kept[:, 0] - kept[:, 0].mean(), kept[:, 1] - kept[:, 1].mean()
    found = float((x * y).sum() / (x * x).sum())
    rest = y - found * x
    error = math.sqrt(float((rest * rest).sum()) / (groups - 2) / float((x * x).sum()))
    return Slope(found, found + 2.228 * error)


def grown(soak: Soak, which: int) -> Slope:
    """Of the gateway (1), or of its engines (2)."""
    return slope([(sample[0], sample[which]) for sample in soak.samples])


def hourly(soak: Soak) -> float:
    """MiB an hour, at the pace of the run: the upper bound of the gateway's slope."""
    return grown(soak, 1).most * sum(soak.ends.values()) / soak.seconds * 3600 / 2**20


def wrong(soak: Soak) -> dict[str, int]:
    """Ends that no request may have."""
    return {end: n for end, n in soak.ends.items() if not (end.isdigit() or end == "left")}


def bars(soak: Soak) -> list[Bar]:
    left, failed = soak.after.more(soak.before), wrong(soak)
    return [
        most("resident memory a request, upper bound", grown(soak, 1).most, WORST, "bytes", 0),
        Bar(
            name="descriptors, connections, tasks, temporary files, processes left behind",
            wanted="none",
            measured=", ".join(f"{n} {name}" for name, n in left.items()) or "none",
            met=not left,
        ),
        Bar(
            name="requests that ended as none may",
            wanted="none",
            measured=", ".join(f"{n} {name}" for name, n in failed.items()) or "none",
            met=not failed,
        ),
    ]


def table(found: Results) -> Grid:
    total = Counter(found.soak.ends)
    gateway, engines = grown(found.soak, 1), grown(found.soak, 2)
    rows = [
        ("requests", f"{total.total():,}"),
        ("of which their clients left", f"{total['left']:,}"),
        ("answered with 200", f"{total['200']:,}"),
        ("minutes", f"{found.soak.seconds / 60:.0f}"),
        ("gateway, bytes a request (upper bound)", f"{gateway.bytes:.0f} ({gateway.most:.0f})"),
        ("gateway, MiB an hour (upper bound)", f"{hourly(found.soak):.2f}"),
        ("engines, bytes a request (upper bound)", f"{engines.bytes:.0f} ({engines.most:.0f})"),
    ]
    return Grid(f"Mixed requests, {found.engines} chat engines", ("", "measured"), rows)


BLOCKS: dict[str, Callable[[Results], Grid | None]] = {
    "soak": table,
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


class Case:
    """One request, which follows from its number alone."""

    def __init__(self, number: int, quiet: bytes, spoken: bytes) -> None:
        chance = random.Random(number)
        self.kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        self.leaves = chance.uniform(0, LEAVE_SECONDS) if chance.random() < LEAVE else None
        streamed = self.kind.endswith("streamed")
        words, tokens = "word " * chance.randint(1, 60), chance.randint(1, 8)
        self._options: dict[str, Any] = {}
        if self.kind == "bad input":
            self.path, headers, content = fuzz.request(number, spoken)
            self._options = {"data": content, "headers": headers}
        elif self.kind == "recording":
            self.path, self._sound = "audio/transcriptions", spoken if chance.random() < SPOKEN else quiet
        elif self.kind == "embedding":
            self.path = "embeddings"
            self._options = {"json": {"model": "text-embedding-3-small", "input": ["a b", "c"]}}
        else:
            chat = self.kind.startswith("chat")
            self.path = "chat/completions" if chat else "completions"
            said = {"messages": [{"role": "user", "content": words}]} if chat else {"prompt": words}
            body = {"model": "gpt-3.5-turbo", "max_tokens": tokens, "stream": streamed}
            self._options = {"json": said | body}

    async def send(self, session: aiohttp.ClientSession, url: str) -> str:
        """How it ended; the client leaves after a while, if it is one that does."""
        try:
            async with asyncio.timeout(self.leaves):
                return await self._send(session, url)
        except TimeoutError:
            return "left" if self.leaves is not None else f"{self.kind}: no answer"
        except aiohttp.ClientError as problem:
            return f"{self.kind}: {type(problem).__name__}"

    async def _send(self, session: aiohttp.ClientSession, url: str) -> str:
        async with session.post(f"{url}/{self.path}", **(self._options or {"data": self._form()})) as answer:
            content = await answer.read()
        allowed = {200, 400, 404, 413, 415, 408} if self.kind == "bad input" else {200}
        if answer.status not in allowed | {429, 503}:
            return f"{self.kind}: {answer.status}"
        ended = b"[DONE]" in content or b'"error"' in content
        if answer.content_type == "text/event-stream" and not ended:
            return f"{self.kind}: unmarked end"
        return str(answer.status)

    def _form(self) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("model", "whisper-1")
        form.add_field("file", self._sound, filename="sound")
        return form


class House:
    """A server, its processes, and where it may leave files."""

    def __init__(self, server: Server, temporary: Path) -> None:
        self.server, self._temporary = server, temporary
        self._root = psutil.Process(server.pid)

    def resident(self) -> tuple[int, int]:
        """Bytes of the gateway, and of all its engines."""
        engines = 0
        for child in self._root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                engines += child.memory_info().rss
        return self._root.memory_info().rss, engines

    async def left(self) -> Left:
        everyone = [self._root, *self._root.children(recursive=True)]
        async with aiohttp.ClientSession() as session, session.get(f"{self.server.root}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        tasks = sum(float(line.split()[-1]) for line in lines if line.startswith("antiphon_tasks{"))
        folders = (self._temporary, self.server.home / "uploads")
        return Left(
            descriptors=sum(map(self._descriptors, everyone)),
            connections=sum(len(one.net_connections("all")) for one in everyone),
            tasks=int(tasks),
            files=sum(path.is_file() for folder in folders for path in folder.rglob("*")),
            processes=len(everyone),
        )

    def _descriptors(self, process: psutil.Process) -> int:
        opened = [Path(file.path) for file in process.open_files()]
        return process.num_fds() - sum(p.parent == self.server.home and ".db" in p.name for p in opened)

    async def steady(self) -> Left:
        """The most of each that some readings of an idle server find: what is looked after comes and goes."""
        found = [await self.left()]
        while len(found) < STEADY_READINGS:
            await asyncio.sleep(1)
            found.append(await self.left())
        return Left(*(max(getattr(one, name) for one in found) for name in Left.__struct_fields__))

    async def quiet(self, before: Left) -> Left:
        """What is left once nothing is more than `before`, or after a while."""
        found, until = await self.left(), time.monotonic() + QUIET_SECONDS
        while time.monotonic() < until and found.more(before):
            await asyncio.sleep(1)
            found = await self.left()
        return found


@asynccontextmanager
async def _clients(callers: Sequence[Tenant]) -> AsyncIterator[list[aiohttp.ClientSession]]:
    made = [client(one.key) for one in callers for _ in range(CLIENTS)]
    sessions = [await one.__aenter__() for one in made]
    try:
        yield sessions
    finally:
        for one in made:
            await one.__aexit__(None, None, None)


async def _send(
    house: House,
    callers: Sequence[Tenant],
    numbers: range,
    ends: Counter[str],
    samples: list[tuple[int, int, int]],
) -> None:
    """All cases of these numbers, by clients that are gone afterwards."""
    sounds = encode(silence(1.0)), SPEECH.read_bytes()
    rest, every = iter(numbers), max(1, len(numbers) // READINGS)
    with Progress() as progress:
        bar = progress.add_task("Requests", total=len(numbers))

        async def again(session: aiohttp.ClientSession) -> None:
            for number in rest:
                ends[await Case(number, *sounds).send(session, house.server.url)] += 1
                progress.advance(bar)
                if number % every == 0:
                    samples.append((number, *house.resident()))

        async with _clients(callers) as sessions:
            await asyncio.gather(*(again(session) for session in sessions))


async def _soak(engines: str, requests: int) -> Soak:
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        home, temporary = alone(Path(folder) / "home", "gpt-3.5-turbo", "whisper-1"), Path(folder) / "tmp"
        temporary.mkdir()
        pull(home, str(write_bert(home / "bert.gguf")), EMBEDDING, alias="text-embedding-3-small")
        settings = SETTINGS | {"TMPDIR": str(temporary)}
        with antiphon(home, settings, program=PROGRAMS[engines]) as server:
            house, ends, samples = House(server, temporary), Counter[str](), list[tuple[int, int, int]]()
            callers = [Tenant(server, PROGRAMS[engines], f"caller-{n}") for n in range(ORGANIZATIONS)]
            numbers, warm = range(requests), round(requests * WARM_UP)
            began = time.monotonic()
            await _send(house, callers, numbers[:warm], ends, [])
            took = time.monotonic() - began
            before = await house.steady()
            began = time.monotonic()
            await _send(house, callers, numbers[warm:], ends, samples)
            took += time.monotonic() - began
            after = await house.quiet(before)
    return Soak(before=before, after=after, ends=dict(sorted(ends.items())), seconds=took, samples=samples)


def _show(console: Console, found: Results) -> None:
    grids.show(console, f"{found.place}; {found.date}", [table(found), grids.bars(found.bars)])


def main() -> None:
    parser = runs.parser(KIND, __doc__.splitlines()[0], ("soak",), "a few hundred requests, read more often")
    parser.add_argument("--engines", choices=tuple(PROGRAMS), default="real")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    given = parser.parse_args()
    requests = QUICK_REQUESTS if given.quick else given.requests
    journal = runs.journal(KIND, given, console := runs.console(), PACKAGES, given.engines, requests)
    runs.end_with_sigterm()
    soak = asyncio.run(journal.once("soak", Soak, partial(_soak, given.engines, requests)))
    found = Results(
        **runs.about(KIND, PACKAGES), engines=given.engines, requests=requests, soak=soak, bars=bars(soak)
    )
    _show(console, found)
    runs.finish(given, console, journal, partial(found.write, kind=KIND), ("soak",))


if __name__ == "__main__":
    main()
