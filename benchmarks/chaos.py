"""Kill engines and gateways at random while organizations ask, and count who got the right answer.

    python -m benchmarks.chaos [--quick] [--fresh] [--out FOLDER]

Two gateway processes and two engines that only keep time, whose every answer is known beforehand. In each
minute one process is killed, an engine or a gateway, at a random moment; requests go on at a steady rate,
half of them streamed. A request counts as good if its answer was complete and right, up to `[DONE]` where
it streams: at the first try, or with the two retries that OpenAI's clients make by themselves, which send a
request again unless its answer has begun. All of them should be accepted: there is room for three times as
many.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
from rich.console import Console

from benchmarks import grids, load, runs
from benchmarks.faults import gateway_pids
from benchmarks.grids import Bar, Grid
from benchmarks.isolation import Tenant
from benchmarks.journal import Journal
from benchmarks.load import SNAPSHOT, TOKENS
from benchmarks.processes import Server

KIND = "chaos"
PACKAGES = ("antiphon", "aiohttp")
ORGANIZATIONS, RATE = 2, 8.0
"""Organizations, and requests a second of each."""
TRIES = 3
ROUNDS, SECONDS = 15, 60.0
QUICK_ROUNDS, QUICK_SECONDS = 2, 10.0
AVAILABLE = 0.999
SHARPER = {"ANTIPHON_PROCESSES": "2", "ANTIPHON_QUEUE_PER_ORGANIZATION": "64"}
EXPECTED = "".join(f" word{number}" for number in range(TOKENS))


class Answered(msgspec.Struct, frozen=True):
    """Whether the answer was right, after how many tries, and what went wrong at the last."""

    right: bool
    tries: int
    problem: str = ""


class Turn(msgspec.Struct, frozen=True):
    killed: str
    asked: int
    at_once: int
    """Right at the first try."""
    right: int
    problems: dict[str, int]
    """Of those that never were."""


class Results(runs.Run, frozen=True, kw_only=True):
    seconds: float
    turns: list[Turn]


def availability(turns: Sequence[Turn], *, tries: bool = True) -> float:
    asked = sum(turn.asked for turn in turns)
    return sum(turn.right if tries else turn.at_once for turn in turns) / asked


def unmarked(turns: Sequence[Turn]) -> int:
    """Answers that looked whole and were not."""
    return sum(turn.problems.get("wrong", 0) for turn in turns)


def bars(turns: Sequence[Turn]) -> list[Bar]:
    found, wrong = availability(turns), unmarked(turns)
    return [
        Bar(
            name="right answers, with the retries that clients make",
            wanted=f"at least {AVAILABLE:.1%}",
            measured=f"{found:.2%}",
            met=found >= AVAILABLE,
        ),
        Bar(name="answers that looked whole and were not", wanted="0", measured=str(wrong), met=not wrong),
    ]


def table(found: Results) -> Grid:
    turns, problems = found.turns, Counter[str]()
    for turn in turns:
        problems.update(turn.problems)
    killed = Counter(turn.killed for turn in turns)
    rows = [
        ("processes killed", ", ".join(f"{count} {name}" for name, count in sorted(killed.items()))),
        ("requests", f"{sum(turn.asked for turn in turns):,}"),
        ("right at the first try", f"{availability(turns, tries=False):.2%}"),
        ("right, with two retries", f"{availability(turns):.2%}"),
        ("never right", ", ".join(f"{n} {name}" for name, n in problems.most_common()) or "none"),
    ]
    return Grid(f"One process killed every {found.seconds:.0f} s", ("", "measured"), rows)


BLOCKS: dict[str, Callable[[Results], Grid | None]] = {
    "chaos": table,
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


async def ask(session: aiohttp.ClientSession, url: str, *, stream: bool) -> Answered:
    """One request, sent again as OpenAI's clients do."""
    problem = ""
    for number in range(1, TRIES + 1):
        wait, problem = await _try(session, url, stream=stream)
        if not problem or wait is None:
            return Answered(not problem, number, problem)
        if number < TRIES:
            await asyncio.sleep(wait or 0.5 * 2 ** (number - 1))
    return Answered(False, TRIES, problem)


async def _try(session: aiohttp.ClientSession, url: str, *, stream: bool) -> tuple[float | None, str]:
    """Seconds to wait before the next try, None if there is none; and what went wrong, if anything did."""
    messages = [{"role": "user", "content": "Tell me of the sea."}]
    body = {"model": SNAPSHOT, "messages": messages, "max_tokens": TOKENS, "stream": stream}
    begun = False
    try:
        async with session.post(f"{url}/chat/completions", json=body) as answer:
            begun = stream and answer.status == 200
            content = await answer.read()
    except aiohttp.ClientError:
        return (None if begun else 0.0), "connection lost" + (" midway" if begun else "")
    if answer.status == 200:
        return None, _judged(content, stream=stream)
    again = answer.status in (408, 409, 429) or answer.status >= 500
    if answer.headers.get("x-should-retry") == "false" or not again:
        return None, str(answer.status)
    return float(answer.headers.get("retry-after", 0)), str(answer.status)


def _judged(content: bytes, *, stream: bool) -> str:
    """What is wrong with an answer of status 200."""
    if not stream:
        choice = json.loads(content)["choices"][0]
        return "" if choice["message"]["content"] == EXPECTED else "wrong"
    events = [event.removeprefix(b"data: ") for event in content.split(b"\n\n") if event]
    if not events or events[-1] != b"[DONE]":
        return "error event" if events and b'"error"' in events[-1] else "wrong"
    told: list[Any] = [json.loads(event) for event in events[:-1]]
    said = "".join(choice["delta"].get("content") or "" for event in told for choice in event["choices"])
    return "" if said == EXPECTED else "wrong"


async def _offered(tenant: Tenant, seconds: float, seed: int) -> list[Answered]:
    """Requests at a steady rate, whatever becomes of them."""
    chance, tasks = random.Random(seed), list[asyncio.Task[Answered]]()
    async with load.client(tenant.key) as session:
        began, due = time.monotonic(), 0.0
        while (due := due + chance.expovariate(RATE)) < seconds:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            asked = ask(session, tenant.url, stream=chance.random() < 0.5)
            tasks.append(asyncio.create_task(asked))
        return list(await asyncio.gather(*tasks))


def _victim(server: Server, chance: random.Random, kind: str) -> int:
    """A process of this kind."""
    found = gateway_pids(server)
    if kind == "engine":
        everyone = psutil.Process(server.pid).children(recursive=True)
        found = {one.pid for one in everyone if any("fake_engine.py" in word for word in one.cmdline())}
    return chance.choice(sorted(found))


async def _kill(server: Server, chance: random.Random, kind: str, seconds: float) -> None:
    """At a random moment of the first half, so that the round sees what follows."""
    await asyncio.sleep(chance.uniform(0, seconds / 2))
    os.kill(_victim(server, chance, kind), signal.SIGKILL)


async def turn(server: Server, callers: Sequence[Tenant], seconds: float, number: int) -> Turn:
    chance, kind = random.Random(number), ("engine", "gateway")[number % 2]
    offers = (_offered(one, seconds, 100 * number + n) for n, one in enumerate(callers))
    parts, _ = await asyncio.gather(asyncio.gather(*offers), _kill(server, chance, kind, seconds))
    found = [answered for part in parts for answered in part]
    return Turn(
        killed=kind,
        asked=len(found),
        at_once=sum(one.right and one.tries == 1 for one in found),
        right=sum(one.right for one in found),
        problems=dict(Counter(one.problem for one in found if not one.right)),
    )


async def _turns(quick: bool, journal: Journal) -> list[Turn]:
    runs.end_with_sigterm()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    with load.paced(SHARPER, more="replicas = 2", pin=False) as server:
        callers = load.tenants(server, *(f"caller-{n}" for n in range(ORGANIZATIONS)))
        await load.asking(callers[0], 4, 2)
        return [
            await journal.once(f"round {n}", Turn, partial(turn, server, callers, seconds, n))
            for n in range(rounds)
        ]


def _show(console: Console, found: Results) -> None:
    grids.show(console, f"{found.place}; {found.date}", [table(found), grids.bars(found.bars)])


def main() -> None:
    parser = runs.parser(KIND, __doc__.splitlines()[0], ("rounds",), "two short rounds")
    given = parser.parse_args()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES)
    turns = asyncio.run(_turns(given.quick, journal))
    seconds = QUICK_SECONDS if given.quick else SECONDS
    found = Results(**runs.about(KIND, PACKAGES), seconds=seconds, turns=turns, bars=bars(turns))
    _show(console, found)
    runs.finish(given, console, journal, partial(found.write, kind=KIND), ("rounds",))


if __name__ == "__main__":
    main()
