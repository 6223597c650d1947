"""`make metering`: what durable metering adds to a request, and what a month of usage costs to read.

    python -m benchmarks.metering [--requests 20000] [--history 10000000] [--rounds 5]

Each round sends the same requests with and without metering, in turn, on SQLite and on a PostgreSQL from a
wheel that syncs its commits. A request is reserved, settled, and moved into the database. The history is
written by SQL, with its rollups; then a month of one project is read as the usage page reads it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, insert, select, text
from tests.servers import postgres

from antiphon.ledger import usage
from antiphon.ledger.buckets import Query
from antiphon.ledger.ledger import running
from antiphon.ledger.meter import Account, Meter
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.values import Price, Snapshot, Usage
from benchmarks.machine import machine

CLIENTS = (1, 32)
RESULTS = Path(__file__).parent / "results" / "metering.json"
SNAPSHOT = Snapshot(
    id="chat", task="chat", released=date(2024, 1, 1), owned_by="us", licence="MIT",
    prices=(Price(since=date(2024, 1, 1), input=2_000_000, cached_input=2_000_000, output=2_000_000),),
)  # fmt: skip
ACCOUNT = Account(organization_id="org-1", project_id="proj_1", key_id="key_1", member_id=None)
USAGE = Usage(prompt_tokens=200, completion_tokens=128)

YEAR_STARTS, DAYS = 1_735_689_600, 365  # 2025
PROJECTS, KEYS = 20, 5
MONTH = (1_746_057_600, 1_748_736_000)  # May 2025


async def _metered(meter: Meter, request_id: str) -> None:
    async with meter.open(request_id, ACCOUNT, SNAPSHOT, USAGE) as bill:
        bill.handed(USAGE)
        await bill.settle(USAGE)


async def _unmetered(_: str) -> None:
    """The same steps of the event loop, of which none waits for a disk."""
    for _step in range(2):
        await asyncio.sleep(0)


async def _send(request: Callable[[str], Any], name: str, count: int, clients: int) -> list[float]:
    """Seconds that each of `count` requests took, `clients` at a time."""
    numbers, seconds = iter(range(count)), []

    async def client() -> None:
        for number in numbers:
            began = time.perf_counter()
            await request(f"req_{name}_{number}")
            seconds.append(time.perf_counter() - began)

    await asyncio.gather(*(client() for _ in range(clients)))
    return seconds


async def metering(url: str, home: Path, requests: int, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with _tenant(url) as database:
        for clients in CLIENTS:
            with_it, without, rates, moved = [], [], [], []
            for number in range(rounds):
                count = requests if clients > 1 else requests // 10
                without += await _send(_unmetered, "", count, clients)
                began = time.perf_counter()
                async with running(database, home) as ledger:
                    meter = ledger.meter

                    async def request(request_id: str, meter: Meter = meter) -> None:
                        await _metered(meter, request_id)

                    with_it += await _send(request, f"{clients}_{number}", count, clients)
                    rates.append(count / (time.perf_counter() - began))
                moved.append(4 * count / (time.perf_counter() - began))
            found[f"{clients} clients"] = {
                "added_ms_p50": _ms(with_it, 50) - _ms(without, 50),
                "added_ms_p99": _ms(with_it, 99) - _ms(without, 99),
                "requests_per_second": statistics.median(rates),
                "rows_per_second": statistics.median(moved),
            }
        async with database.connect() as connection:
            found["requests"] = await connection.scalar(select(func.count()).select_from(tables.request))
    return found


def _ms(seconds: list[float], percentile: int) -> float:
    return statistics.quantiles(seconds, n=100)[percentile - 1] * 1000


async def pages(url: str, history: int, rounds: int) -> dict[str, Any]:
    """Milliseconds for a month of one project, after `history` requests in a year."""
    async with _tenant(url) as database:
        began = time.perf_counter()
        async with database.begin() as connection:
            for statement in _history(history, connection.dialect.name):
                await connection.execute(text(statement))
        async with database.begin() as connection:
            await connection.execute(text("analyze"))
        wrote = time.perf_counter() - began
        found: dict[str, Any] = {"seconds_to_write": wrote}
        for name, query in _queries():
            took = []
            for _ in range(rounds * 4):
                began = time.perf_counter()
                async with database.connect() as connection:
                    page = await connection.run_sync(usage.usage, query)
                took.append((time.perf_counter() - began) * 1000)
            assert sum(result.requests for bucket in page.data for result in bucket.results)
            found[name] = {"ms_p50": statistics.median(took), "ms_worst": max(took)}
        return found


def _queries() -> Iterator[tuple[str, Query]]:
    start, end = MONTH
    month: dict[str, Any] = {
        "organization_id": "org-1", "start": start, "end": end, "width": "1d", "limit": 31
    }  # fmt: skip
    yield "a month of one project", Query(**month, project_ids=("proj_3",))
    yield "a month by project", Query(**month, group_by=("project_id",))
    yield "a month by project, key and model", Query(**month, group_by=("project_id", "api_key_id", "model"))


def _history(count: int, dialect: str) -> list[str]:
    """SQL that writes `count` requests, evenly over the projects, keys and minutes of a year, and rollups."""
    series = (
        f"select n from generate_series(0, {count - 1}) as g(n)"
        if dialect == "postgresql"
        else f"with recursive g(n) as (select 0 union all select n + 1 from g where n < {count - 1}) "
        "select n from g"
    )
    step = DAYS * 86_400 / count
    at = f"{YEAR_STARTS} + cast(n * {step} as bigint)"
    project, key = f"'proj_' || (n % {PROJECTS})", f"'key_' || (n % {PROJECTS * KEYS})"
    period = (
        f"to_char(to_timestamp({at}) at time zone 'UTC', 'YYYY-MM')"
        if dialect == "postgresql"
        else f"strftime('%Y-%m', {at}, 'unixepoch')"
    )
    requests = (
        "insert into request (id, epoch, organization_id, project_id, key_id, task, snapshot, price_id, "
        "period, prepaid, created_at, reserved, status, ended_at, input_tokens, cached_tokens, "
        "output_tokens, seconds, cost) "
        f"select 'old_' || n, 'epoch_1', 'org-1', {project}, {key}, 'chat', 'chat', 'price_1', {period}, "
        f"false, {at}, 656000, 'settled', {at}, 200, 0, 128, 0, 656000 from ({series}) as numbers"
    )
    rollups = [
        "insert into usage_rollup (organization_id, width, start, project_id, key_id, snapshot, task, "
        "requests, input_tokens, cached_tokens, output_tokens, seconds, input_cost, output_cost, audio_cost) "
        f"select organization_id, {width}, created_at - created_at % {width}, project_id, key_id, snapshot, "
        "'chat', count(*), sum(input_tokens), 0, sum(output_tokens), 0, 400000 * count(*), "
        "256000 * count(*), 0 from request where id like 'old_%' group by 1, 2, 3, 4, 5, 6"
        for width in (60, 3600, 86_400)
    ]
    return [requests, *rollups]


@asynccontextmanager
async def _tenant(url: str) -> AsyncIterator[Database]:
    async with Database(url, statement_seconds=3600) as database:
        await upgrade(database)
        async with database.begin() as connection:
            if await connection.scalar(select(func.count()).select_from(tables.organization)) == 0:
                new = {"name": "one", "created_at": 0}
                await connection.execute(insert(tables.organization).values(id="org-1", prepaid=False, **new))
                await connection.execute(
                    insert(tables.project).values(id="proj_1", organization_id="org-1", **new)
                )
                await connection.execute(
                    insert(tables.epoch).values(
                        id="epoch_1", host="", opened_at=0, beat=0, posted=0, closed_at=0
                    )
                )
                price = dict.fromkeys(("input", "cached_input", "output"), 2 * 10**6)
                await connection.execute(
                    insert(tables.price).values(
                        id="price_1", snapshot="chat", since="2024-01-01", second=0, **price
                    )
                )
        yield database


@contextmanager
def _databases(folder: Path) -> Iterator[dict[str, str]]:
    with postgres(fsync="on", full_page_writes="on", autovacuum="on", max_wal_size="4GB") as server:
        server.execute("create database metering")
        yield {
            "SQLite": f"sqlite+aiosqlite:///{folder / 'antiphon.db'}",
            "PostgreSQL": server.url("metering"),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="of a round with 32 clients")
    parser.add_argument("--history", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    console = Console()
    found: dict[str, Any] = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    with TemporaryDirectory(prefix="antiphon-") as folder, _databases(Path(folder)) as urls:
        for name, url in urls.items():
            console.print(f"{name}: metering")
            measured = asyncio.run(metering(url, Path(folder), given.requests, given.rounds))
            console.print(f"{name}: {given.history:,} requests of history")
            found[name] = {
                "metering": measured,
                "pages": asyncio.run(pages(url, given.history, given.rounds)),
            }
    _show(console, found)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def _show(console: Console, found: dict[str, Any]) -> None:
    table = Table("", "SQLite", "PostgreSQL", box=None)
    for part in ("metering", "pages"):
        for name, values in found["SQLite"][part].items():
            for key, value in values.items() if isinstance(values, dict) else []:
                other = found["PostgreSQL"][part][name][key]
                table.add_row(f"{name}, {key}", f"{value:,.2f}", f"{other:,.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
