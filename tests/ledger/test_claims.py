"""Idempotency keys: one of those who send the same answers it, once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, select

from antiphon.ledger import claims, epochs
from antiphon.ledger.claims import Claim, Ended, InFlight, Mismatch, New
from antiphon.ledger.store import DatabaseStore
from antiphon.storage import tables
from antiphon.storage.database import Database
from ledger_rows import NOVEMBER, found, rows


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    store = DatabaseStore(database)
    await store.run(found)
    return store


async def claim(
    store: DatabaseStore, name: str, digest: bytes = b"key", fingerprint: bytes = b"body", now: int = NOVEMBER
) -> Claim:
    return await store.run(claims.claim, digest, fingerprint, name, "epoch_1", now)


async def test_the_first_one_has_the_key(store: DatabaseStore) -> None:
    assert await claim(store, "req_1") == New()
    assert await claim(store, "req_2") == InFlight("req_1")
    assert await claim(store, "req_3", fingerprint=b"other") == Mismatch()
    assert await claim(store, "req_4", digest=b"another key") == New()
    await store.run(claims.end, b"key", "req_2")
    assert await claim(store, "req_5") == InFlight("req_1"), "it is not its key to end"
    await store.run(claims.end, b"key", "req_1")
    assert await claim(store, "req_6") == Ended("req_1")
    assert await claim(store, "req_7", fingerprint=b"other") == Mismatch()


async def test_what_was_asked_is_not_told_by_who_has_the_database_alone(
    store: DatabaseStore, database_url: str
) -> None:
    written = []
    for pepper in (b"one", b"two"):
        async with Database(database_url, pepper=pepper) as peppered:
            mine = DatabaseStore(peppered)
            assert await claim(mine, "req_1", digest=pepper) == New()
            assert await claim(mine, "req_2", digest=pepper) == InFlight("req_1")
        written.append(await store.run(_fingerprint, pepper))
    assert len({*written, b"body"}) == 3


def _fingerprint(connection: Connection, digest: bytes) -> bytes | None:
    mine = tables.idempotency.c.digest == digest
    return connection.scalar(select(tables.idempotency.c.fingerprint).where(mine))


async def test_after_a_failure_the_next_one_is_the_first(store: DatabaseStore) -> None:
    await claim(store, "req_1")
    await store.run(claims.drop, b"key", "req_2")
    assert await claim(store, "req_2") == InFlight("req_1")
    await store.run(claims.drop, b"key", "req_1")
    assert await claim(store, "req_2", fingerprint=b"other") == New()


async def test_of_many_at_once_one_is_the_first(store: DatabaseStore) -> None:
    found = await asyncio.gather(*(claim(store, f"req_{number}") for number in range(6)))
    assert found.count(New()) == 1
    [winner] = [f"req_{number}" for number, what in enumerate(found) if what == New()]
    assert found.count(InFlight(winner)) == 5


async def test_keys_are_forgotten_after_their_time(store: DatabaseStore) -> None:
    await claim(store, "req_1")
    await claim(store, "req_2", digest=b"later", now=NOVEMBER + 10)
    assert await store.run(claims.purge, NOVEMBER + 10) == 1
    assert [row["request_id"] for row in await store.run(rows, tables.idempotency)] == ["req_2"]


async def test_a_claim_does_not_wait_for_the_posting_of_its_epoch(database: Database) -> None:
    store = DatabaseStore(database)
    await store.run(found)
    async with database.begin() as connection:
        await connection.run_sync(epochs.lock, "epoch_1")
        if connection.dialect.name == "postgresql":  # of SQLite there is one writer anyway
            async with asyncio.timeout(2):
                assert await claim(store, "req_1") == New()
