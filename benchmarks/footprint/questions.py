"""What the servers are asked beside the books: for keys, limits, budgets, beats and rates."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from tests.servers import PostgresDatabase, ValkeyServer

from antiphon.access.access import build
from antiphon.access.api_key import NewKey, Realm
from antiphon.admission.counters import Ask
from antiphon.admission.limits import Demand, Limits
from antiphon.admission.memory import Memory
from antiphon.admission.store import RateLimits
from antiphon.admission.valkey import Valkey
from antiphon.ledger import epochs
from antiphon.ledger.ledger import running
from antiphon.ledger.meter import Account
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Snapshot, Usage
from benchmarks.faults import until
from benchmarks.footprint.books import PRICE, SNAPSHOT, START, named
from benchmarks.footprint.processor import of_process, of_server, quick
from benchmarks.footprint.values import PEERS, Asked, Counts

NEW = 200
"""Organizations that are new to the process."""
READY_SECONDS = 30.0
"""Longest wait for a ledger whose beat came late, on a machine that is very busy."""
USED = Usage(prompt_tokens=200, completion_tokens=128)


async def asked(server: PostgresDatabase, folder: Path, count: int) -> Asked:
    """What the database is asked beside posting. It is the one that `posted` has filled."""
    async with Database(server.url) as database:
        now = [0.0]

        def later() -> float:
            now[0] += 1  # everything that was remembered is forgotten
            return now[0]

        access = build(database, bytes(32), monotonic=later)
        owner = await access.organizations.create("looked up", by=None)
        project = await access.projects.create(owner.id, "p", by=None)
        _, secret = await access.keys.create(NewKey(realm=Realm(owner.id, project.id), name="k"), by=None)
        limits = RateLimits(database, Settings(), monotonic=later)
        key = await _costs(server, count, lambda _: access.authenticator.authenticate(secret))
        limited = await _costs(server, count, lambda _: limits.of(project.id, SNAPSHOT))
        known, new = await _reservations(server, database, folder, NEW)
        await database.run(_open_peers)
        beat = await _costs(server, count, lambda _: database.run(epochs.others))
    return Asked(
        key_microseconds=key[0], limits_microseconds=limited[0],
        known_wait_microseconds=known[1],
        new_microseconds=new[0], new_wait_microseconds=new[1],
        beat_microseconds=beat[0],
    )  # fmt: skip


def _open_peers(connection: Connection) -> None:
    for number in range(PEERS):
        epochs.open_epoch(connection, f"epoch_{number:032x}", "there", START)


async def _costs(
    server: PostgresDatabase, count: int, ask: Callable[[int], Awaitable[Any]]
) -> tuple[float, float]:
    """Microseconds of processor time of each of `count` questions: of the server, and of both together."""
    await ask(0)
    there, both = [], []
    for number in range(1, count + 1):
        own, before = time.process_time(), of_server(server)
        await ask(number)
        took = of_server(server) - before
        there.append(took * 1e6)
        both.append((time.process_time() - own + took) * 1e6)
    return quick(there), quick(both)


async def _reservations(
    server: PostgresDatabase, database: Database, folder: Path, count: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Requests of an organization that the process knows, and each of another one."""
    snapshot = Snapshot(id=SNAPSHOT, task="chat", released=date(2024, 1, 1), owned_by="", licence="",
                        prices=(PRICE,))  # fmt: skip
    async with running(database, folder) as ledger:

        async def ready() -> bool:
            return ledger.ready

        async def request(owner: int) -> None:
            await until(ready, READY_SECONDS)
            account = Account(organization_id=named("org-", owner), project_id=named("proj_", owner),
                              key_id=named("key_", owner), member_id=None)  # fmt: skip
            async with ledger.meter.open(f"req_{uuid4().hex}", account, snapshot, USED) as bill:
                await bill.settle(USED)

        known = await _costs(server, count, lambda _: request(0))
        new = await _costs(server, count, lambda number: request(1000 + number))
    return known, new


async def counts(server: ValkeyServer, count: int) -> Counts:
    """Questions for a project with the default limits, and for one with every limit there is."""
    default = Limits(requests_per_minute=10**6)
    every = Limits(**dict.fromkeys(Limits.__struct_fields__, 10**6))
    found = []
    async with Valkey(server.url, Memory(), seconds=10) as valkey:
        for limits, name in ((default, "default"), (every, "every")):
            key = f"{named('proj_', 1)}-{name}/{SNAPSHOT}"
            with server._server.client() as client:
                pid = int(client.info("server")["process_id"])
                took = []
                for number in range(count):
                    ask = Ask(key=key, limits=limits, demand=Demand(tokens=300), place=f"{number % 32:016x}")
                    before = of_process(pid)
                    decision = await valkey.ask(ask)
                    took.append((of_process(pid) - before) * 1e6)
                    assert decision.by is valkey
                kept = sum(client.memory_usage(name) for name in client.keys(f"*{key}*"))
            found.append((int(kept), quick(took)))
    (least, one), (most, every_one) = found
    return Counts(
        default_bytes=least, every_bytes=most, default_microseconds=one, every_microseconds=every_one
    )
