"""A job is done by one of all processes."""

from __future__ import annotations

from functools import partial

from antiphon.status.leases import take
from antiphon.storage.database import Database


async def test_one_holds_it_until_it_lets_it_pass(database: Database) -> None:
    async def taken(holder: str, now: int, job: str = "watch") -> bool:
        return await database.run(partial(take, job=job, holder=holder, now=now, seconds=30))

    assert await taken("a", 100)
    assert not await taken("b", 129)
    assert await taken("b", 129, job="probe")
    assert await taken("a", 129)
    assert not await taken("b", 158)
    assert await taken("b", 159), "the one that had it is gone"
    assert not await taken("a", 160)
