"""Budgets that many requests race for, and requests that are sent again and again.

    python -m benchmarks.bill [--requests 10000] [--rounds 20]

Engines are scripted, everything else is real: sockets, journals, SQLite, and a PostgreSQL from a wheel. Each
part raises unless the books are right and everything that was promised holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import aiohttp
from rich.console import Console
from sqlalchemy import insert, select
from tests.servers import postgres
from tests.service import CALLER, KEY, ScriptedEngine, Service, serving

from antiphon.ledger import credits
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.values import ChatJob, Delta, Segment, SpeechJob, Transcript, Usage
from benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results" / "bill.json"
CENT = 10_000_000
"""Nano-dollars: what may be spent, and all of it can be."""
AFFORDABLE, RACING = 50, 200
WORDS, TOKENS = 20, 80
"""Of a prompt and of its answer: a hundred tokens, a fiftieth of a cent at the shipped price."""
SECONDS = 2
"""Of a recording: a fiftieth of a cent."""
AGAIN_SECONDS = 1.0
SENDS = 4
"""How often a request is sent with the same key."""
PLACES = 64
SETTINGS: dict[str, Any] = {
    "requests_per_minute": 0, "queue_total": 1024, "queue_per_organization": 1024, "uploads_at_once": 2048,
}  # fmt: skip
WAYS = {"stay": 80, "leave midway": 10, "leave at once": 10}
"""What clients do, of a hundred."""
CHAT, SPEECH = "/v1/chat/completions", "/v1/audio/transcriptions"

T = TypeVar("T", bound=tuple[Any, ...])
Kind = Literal["chat", "audio", "prepaid"]
"""A project's monthly limit for chat or for recordings, or an organization's prepaid balance."""


async def answer(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    """All that may be said, slowly enough for clients to leave in its midst."""
    most = job.max_tokens or 0
    for count in range(1, most + 1):
        if count % 4 == 1:
            await asyncio.sleep(0.001)
        yield Delta(0, f" word{count}", (), "length" if count == most else None, count)
    yield Usage(prompt_tokens=len(job.messages[-1].content.split()), completion_tokens=most)


async def transcript(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
    """Of a recording without words."""
    await asyncio.sleep(0.001)
    yield Transcript(language="en", duration=SECONDS, usage=Usage(seconds=SECONDS))


@asynccontextmanager
async def gateways(folder: Path, url: str, count: int) -> AsyncIterator[list[Service]]:
    """The services of several gateways over one database, each with a ledger and a data folder of its own.

    They end in peace: requests whose clients have left run to their ends, and everything is in the database.
    """
    async with AsyncExitStack() as stack:
        services = []
        for number in range(count):
            home = folder / str(number)
            home.mkdir(parents=True)
            engine = ScriptedEngine(answer, transcript)
            service = serving(home, engine, PLACES, database=url, **SETTINGS)
            services.append(await stack.enter_async_context(service))
        yield services
        for service in services:
            _must(await service.edge.drain(), "a request does not end")


async def race(folder: Path, url: str, kind: Kind, count: int = 1) -> dict[str, int]:
    """Many requests at once, for which there is the money of some. Raises unless just those are answered."""
    async with gateways(folder, url, count) as services:
        await _give_a_cent(services[0].books.database, kind)
        send = _send_recording if kind == "audio" else _send_chat
        sends = (_patiently(partial(send, services[number % count])) for number in range(RACING))
        answers = await asyncio.gather(*sends)
    requests, _ = await _books(url)
    charged = sum(row.cost for row in requests)
    found = Counter(status for status, _, _ in answers)
    for status, headers, body in answers:
        if status == 429:
            _must(body["error"]["code"] == "insufficient_quota", f"refused with {body}")
            _must(headers["x-should-retry"] == "false", "the client is told to try again")
    _must(found == {200: AFFORDABLE, 429: RACING - AFFORDABLE}, f"answered with {found}")
    _must(charged == CENT, f"{charged} nano-dollars were charged")
    return {"answered": found[200], "refused": found[429], "charged": charged, "limit": CENT}


async def duplicates(folder: Path, url: str, requests: int, seed: int = 0) -> dict[str, int]:
    """Requests of which each is sent four times with one key, whole or streamed, by clients that may leave.

    Raises unless each was run and charged once, and everyone who stayed got the same bytes.
    """
    rng = random.Random(seed)
    async with gateways(folder, url, 1) as [service]:
        keys = Keys(service, rng)
        numbers = list(range(requests // SENDS))
        rng.shuffle(numbers)
        for begin in range(0, len(numbers), PLACES):
            await keys.round(numbers[begin : begin + PLACES])
    ran = len(service.engine.jobs)
    rows, marks = await _books(url)
    _must(ran == len(rows) == len(numbers), f"{len(numbers)} keys ran {ran} times, {len(rows)} were recorded")
    _must(all(row.status == "settled" for row in rows), "a request was not charged")
    _must(sum(row.cost for row in rows) == 2000 * sum(map(_tokens, numbers)), "the charge is wrong")
    _must(len(marks) == len(numbers) and all(mark.ended for mark in marks), "a key is still open")
    return {"requests": requests, "keys": len(numbers), "charged": len(rows), **keys.counts}


async def elsewhere(folder: Path, url: str, keys: int = 40) -> dict[str, int]:
    """Requests that are sent to two gateways at once, and again, with one key.

    Raises unless each was charged once, answered by one gateway, and refused for good by the other.
    """
    async with gateways(folder, url, 2) as services:
        found: list[tuple[int, bytes]] = []
        for _ in range(2):
            sends = (
                partial(_keyed, service, f"key {number}") for number in range(keys) for service in services
            )
            found += await asyncio.gather(*map(_patiently, sends))
    rows, marks = await _books(url)
    _must(len(rows) == keys == len(marks), f"{keys} keys: {len(rows)} requests, {len(marks)} kept")
    _must(all(row.status == "settled" for row in rows), "a request was not charged")
    bodies = Counter(body for status, body in found if status == 200)
    _must(len(bodies) == keys and set(bodies.values()) == {2}, "a key has two answers, or none")
    codes = Counter(json.loads(body)["error"]["code"] for status, body in found if status == 400)
    _must(codes == {"idempotency_result_expired": 2 * keys}, f"refused with {codes}")
    return {"keys": keys, "charged": len(rows)}


async def _keyed(service: Service, key: str) -> tuple[int, bytes]:
    headers = {"authorization": f"Bearer {KEY}", "idempotency-key": key}
    url = f"http://127.0.0.1:{service.port}{CHAT}"
    async with service.session.post(url, json=_body(WORDS, TOKENS), headers=headers) as response:
        return response.status, await response.read()


class Keys:
    """Sends requests again and again, and compares what comes back."""

    def __init__(self, service: Service, rng: random.Random) -> None:
        self._service, self._rng = service, rng
        self._bodies: dict[int, bytes] = {}
        self.counts: Counter[str] = Counter()

    async def round(self, numbers: list[int]) -> None:
        """Each key twice or three times at once, then the rest of its sends later."""
        at_once = {number: self._rng.randrange(1, SENDS) for number in numbers}
        await asyncio.gather(*(self._several(number, count) for number, count in at_once.items()))
        await asyncio.gather(*(self._several(number, SENDS - count) for number, count in at_once.items()))

    async def _several(self, number: int, count: int) -> None:
        await asyncio.gather(*(self._patiently(number) for _ in range(count)))

    async def _patiently(self, number: int) -> None:
        """Once more whenever the server has no time: this is what such keys are for."""
        while not await self._send(number):
            self.counts["sent anew after 503"] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    async def _send(self, number: int) -> bool:
        """Whether it was answered, or left."""
        body = _body(WORDS, _answer_tokens(number), stream=number % 2 == 0)
        headers = {"authorization": f"Bearer {KEY}", "idempotency-key": f"key {number}"}
        url = f"http://127.0.0.1:{self._service.port}{CHAT}"
        way = self._rng.choices(list(WAYS), WAYS.values())[0]
        try:
            async with asyncio.timeout(self._rng.uniform(0, 0.01) if way == "leave at once" else None):
                async with self._service.session.post(url, json=body, headers=headers) as response:
                    if way == "leave midway":
                        await response.content.readany()  # it may be all there is
                        response.close()
                    content = await response.read()
        except (TimeoutError, aiohttp.ClientError):
            _must(way != "stay", f"key {number} was cut off")
        if way == "stay" and response.status == 503:
            return False
        if way == "stay":
            self._compare(number, response.status, content)
        self.counts[way] += 1
        return True

    def _compare(self, number: int, status: int, content: bytes) -> None:
        _must(status == 200, f"key {number} was answered with {status}: {content!r}")
        _must(self._bodies.setdefault(number, content) == content, f"key {number} has two answers")


def _answer_tokens(number: int) -> int:
    return 1 + number % 40


def _tokens(number: int) -> int:
    return WORDS + _answer_tokens(number)


def _body(words: int, tokens: int, stream: bool = False) -> dict[str, Any]:
    messages = [{"role": "user", "content": " ".join(["word"] * words)}]
    return {"model": "gpt-3.5-turbo", "messages": messages, "max_tokens": tokens, "stream": stream}


async def _patiently(send: Callable[[], Awaitable[T]]) -> T:
    """The answer, of one more try after each 503: the server may have no time."""
    while True:
        answer = await send()
        if answer[0] != 503:
            return answer
        await asyncio.sleep(AGAIN_SECONDS)


def _send_chat(service: Service) -> Awaitable[tuple[int, Any, Any]]:
    return service.call("POST", CHAT, json=_body(WORDS, TOKENS))


def _send_recording(service: Service) -> Awaitable[tuple[int, Any, Any]]:
    form = aiohttp.FormData()
    form.add_field("model", "whisper-1")
    form.add_field("file", f"seconds={SECONDS}".encode(), filename="sound.wav")
    return service.call("POST", SPEECH, data=form)


async def _give_a_cent(database: Database, kind: Kind) -> None:
    now = int(time.time())
    organization, project = CALLER.organization_id, CALLER.project_id
    prepaid = kind == "prepaid"
    async with database.begin() as connection:
        await connection.execute(
            insert(tables.organization).values(id=organization, name="one", created_at=now, prepaid=prepaid)
        )
        if prepaid:
            await connection.run_sync(credits.add, organization, CENT, "", now)
        else:
            limit = insert(tables.spend_limit).values(scope=project, cents=1, updated_at=now)
            await connection.execute(limit)


async def _books(url: str) -> tuple[list[Any], list[Any]]:
    """The log of requests, and the idempotency keys. Raises unless the books are right."""
    async with Database(url) as database, database.connect() as connection:
        findings = await connection.run_sync(verify)
        _must(not findings, f"the books are wrong: {findings}")
        requests = list(await connection.execute(select(tables.request)))
        return requests, list(await connection.execute(select(tables.idempotency)))


def _must(holds: bool, problem: str) -> None:
    if not holds:
        raise AssertionError(problem)


async def run(folder: Path, urls: dict[str, list[str]], requests: int, rounds: int) -> dict[str, Any]:
    """Every part on every kind of database; `urls` are of fresh databases."""
    found: dict[str, Any] = {}
    for name, fresh in urls.items():
        began = time.perf_counter()
        counts = await duplicates(folder / name, fresh.pop(), requests)
        found[f"duplicates, {name}"] = counts | {"seconds": round(time.perf_counter() - began)}
        for kind in KINDS:
            for count in (1,) if name == "SQLite" else (1, 2):
                total: Counter[str] = Counter()
                for number in range(rounds):
                    total.update(
                        await race(folder / f"{name} {kind} {count} {number}", fresh.pop(), kind, count)
                    )
                found[f"budget, {kind}, {name}, {count} gateways"] = dict(total)
    return found


KINDS: tuple[Kind, ...] = ("chat", "audio", "prepaid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="sent with idempotency keys")
    parser.add_argument("--rounds", type=int, default=20, help="races for each kind of budget")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="antiphon-") as place, postgres() as server:
        folder = Path(place)
        races = 1 + len(KINDS) * given.rounds
        names = [f"bill_{number}" for number in range(races + len(KINDS) * given.rounds)]
        for name in names:
            server.execute(f"create database {name}")
        urls = {
            "SQLite": [f"sqlite+aiosqlite:///{folder / f'{number}.db'}" for number in range(races)],
            "PostgreSQL": [server.url(name) for name in names],
        }
        found = asyncio.run(run(folder, urls, given.requests, given.rounds))
    document = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()} | found
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    Console().print_json(data=document)


if __name__ == "__main__":
    main()
