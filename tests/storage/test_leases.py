"""One holds a job at a time, and it ends by itself."""

from __future__ import annotations

from functools import partial

from antiphon.storage import leases
from antiphon.storage.database import Database


async def take(database: Database, holder: str, now: int, seconds: int = 10, job: str = "purge") -> bool:
    return await database.run(partial(leases.take, job=job, holder=holder, seconds=seconds, now=now))


async def test_one_holds_it_until_it_ends(database: Database) -> None:
    assert await take(database, "a", 100)
    assert not await take(database, "b", 109)
    assert await take(database, "b", 109, job="another")
    assert await take(database, "a", 109)  # longer
    assert not await take(database, "b", 118)
    assert await take(database, "b", 119)
    assert not await take(database, "a", 119)


async def test_it_can_be_given_back_by_its_holder_alone(database: Database) -> None:
    assert await take(database, "a", 100)
    await database.run(lambda connection: leases.give_back(connection, "purge", "b"))
    assert not await take(database, "b", 101)
    await database.run(lambda connection: leases.give_back(connection, "purge", "a"))
    assert await take(database, "b", 101)


async def test_its_end_can_be_moved(database: Database) -> None:
    assert await take(database, "a", 100, 1000)
    await database.run(lambda connection: leases.end_at(connection, "purge", 105))
    assert not await take(database, "b", 104)
    assert await take(database, "b", 105)
