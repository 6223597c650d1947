"""Requests as a gateway posts them: what they leave in the tables, and what that takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, event, func, insert, select
from tests.servers import PostgresDatabase

from antiphon.ledger import epochs, leases, posting
from antiphon.ledger.books import BATCH
from antiphon.ledger.records import Record, Reserve, Settle
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.values import Price
from benchmarks.figures import median
from benchmarks.footprint.processor import of_server, quick
from benchmarks.footprint.values import Books, Size

START = 1_793_534_400
"""1 November 2026, 12:00 UTC."""
MONTH = "2026-11"
ORGANIZATIONS, KEYS = 50, 20
"""Each organization has a project, with so many keys."""
A_SECOND = 100
"""Requests that begin in a second, by the times that they carry."""
LASTING = 2 * BATCH
"""Requests that are open at any moment."""
SMALL = 20
"""Records of a batch where many processes share the work."""
SNAPSHOT = "smollm2-135m-instruct-2024-11-01"
PRICE = Price(since=date(2024, 1, 1), input=2_000_000, cached_input=2_000_000, output=2_000_000)
COST = 328 * 2000
TABLES = ("request", "entry", "usage_rollup")


def records(count: int) -> Iterator[Record]:
    """Of `count` requests, in order, those of a moment mixed as they are where requests take a while."""
    running: deque[tuple[str, int]] = deque()
    seq = 0
    for number in range(count + LASTING):
        if number < count:
            seq, began = seq + 1, START + number // A_SECOND
            id, owner = f"req_{uuid4().hex}", number % ORGANIZATIONS
            running.append((id, began))
            yield Reserve(
                seq=seq, request_id=id, organization_id=named("org-", owner),
                project_id=named("proj_", owner), key_id=named("key_", number % (ORGANIZATIONS * KEYS)),
                member_id=None, task="chat", snapshot=SNAPSHOT, price=PRICE, period=MONTH, prepaid=False,
                created_at=began, amount=COST,
            )  # fmt: skip
        if number >= LASTING:
            seq, (id, began) = seq + 1, running.popleft()
            yield Settle(
                seq=seq, request_id=id, input_tokens=200, cached_tokens=0, output_tokens=128, seconds=0,
                input_cost=400_000, output_cost=256_000, audio_cost=0, ended_at=began + 10,
            )  # fmt: skip


def named(kind: str, number: int) -> str:
    """As long as real ones."""
    return f"{kind}{number:016}"


class Watch:
    """The batches of this process: what each took, and what of that while it held what others wait for."""

    def __init__(self, server: PostgresDatabase | None) -> None:
        self.own: list[float] = []
        self.server: list[float] = []
        self.held: list[float] = []
        """Seconds of processor time: here, in the server, and in both."""
        self.statements: list[int] = []
        self.held_statements: list[int] = []
        self._server = server
        self._count = self._before = 0
        self._began = self._holds = self._now()
        event.listen(Engine, "begin", self._begin)
        event.listen(Engine, "before_cursor_execute", self._statement)

    def close(self) -> None:
        event.remove(Engine, "begin", self._begin)
        event.remove(Engine, "before_cursor_execute", self._statement)

    def _now(self) -> tuple[float, float]:
        return time.process_time(), of_server(self._server)

    def _begin(self, *_: Any) -> None:
        self._began, self._count = self._now(), 0

    def _statement(self, *arguments: Any) -> None:
        if arguments[2].startswith("INSERT INTO account"):
            # From here on the row of `holds` is locked, which every batch of every process changes.
            self._holds, self._before = self._now(), self._count
        self._count += 1

    def committed(self) -> None:
        own, server = self._now()
        self.own.append(own - self._began[0])
        self.server.append(server - self._began[1])
        self.held.append(own - self._holds[0] + server - self._holds[1])
        self.statements.append(self._count)
        self.held_statements.append(self._count - self._before)


async def posted(url: str, count: int, server: PostgresDatabase | None, file: Path) -> Books:
    """Post `count` requests to an empty database, of `server` or in SQLite's `file`."""
    async with Database(url, statement_seconds=600) as database:
        await upgrade(database)
        await _fund(database)
        empty = _total(server, file)
        log = int(server.execute("select pg_current_wal_lsn() - '0/0'")) if server else 0
        every = list(records(count))
        first, small, large = every[:2000], every[2000 : 2000 + 100 * SMALL], every[2000 + 100 * SMALL :]
        await _post(database, first, BATCH, server)
        little = await _post(database, small, SMALL, server)
        watch = await _post(database, large, BATCH, server, vacuum=True)
        log = int(server.execute("select pg_current_wal_lsn() - '0/0'")) - log if server else 0
        sizes = {name: await _size(database, server, name) for name in TABLES}
        total = _total(server, file) - empty
        proof = await _proof(database, server)
    each = BATCH / 2 / 1e6
    return Books(
        requests=count, batches=len(watch.own), keys=ORGANIZATIONS * KEYS,
        minutes=-(-count // (60 * A_SECOND)), sizes=sizes if server else {}, total=total, log=log,
        server_microseconds=quick(watch.server) / each, client_microseconds=quick(watch.own) / each,
        held_ms=quick(watch.held) * 1e3, small_held_ms=quick(little.held) * 1e3,
        statements=median(watch.statements), held_statements=median(watch.held_statements),
        proof_microseconds=proof / count * 1e6,
    )  # fmt: skip


async def _proof(database: Database, server: PostgresDatabase | None) -> float:
    """Seconds of processor time, here and there, that it takes to prove the books: one works at a time."""
    before = of_server(server) + time.process_time()
    async with database.connect() as connection:
        findings = await connection.run_sync(verify)
    assert not findings, findings
    return of_server(server) + time.process_time() - before


async def _post(
    database: Database,
    every: Sequence[Record],
    size: int,
    server: PostgresDatabase | None,
    *,
    vacuum: bool = False,
) -> Watch:
    """In batches of `size`; `vacuum` now and then, as `server` does by itself when it is due."""
    watch = Watch(server)
    for start in range(0, len(every), size):
        await database.run(partial(_batch, every[start : start + size]))
        watch.committed()
        if server and vacuum and start % (size * 20) == 0:
            server.execute("vacuum")
    watch.close()
    return watch


def _batch(batch: Sequence[Record], connection: Connection) -> None:
    posting.post(connection, "epoch_1", batch, START)


async def _fund(database: Database) -> None:
    def fund(connection: Connection) -> None:
        epochs.open_epoch(connection, "epoch_1", "here", START)
        for number in range(ORGANIZATIONS):
            owner = {"id": named("org-", number), "name": f"o{number}", "created_at": 0, "prepaid": False}
            connection.execute(insert(tables.organization).values(owner))
            for scope in (named("org-", number), named("proj_", number)):
                leases.lease(connection, "epoch_1", scope, MONTH, 10**15, 10**15, START)

    await database.run(fund)


async def _size(database: Database, server: PostgresDatabase | None, name: str) -> Size:
    async with database.connect() as connection:
        rows = await connection.scalar(select(func.count()).select_from(tables.metadata.tables[name]))
    ask = f"select pg_table_size('{name}'), pg_indexes_size('{name}')"
    heap, indexes = map(int, server.execute(ask).split("|")) if server else (0, 0)
    return Size(rows=int(rows or 0), heap=heap, indexes=indexes)


def _total(server: PostgresDatabase | None, file: Path) -> int:
    if server:
        return int(server.execute("select pg_database_size(current_database())"))
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
