"""The machines where engines run, on both databases."""

from __future__ import annotations

import asyncio
from functools import partial

from sqlalchemy import Connection

from antiphon.ledger.store import DatabaseStore
from antiphon.pools.machines import FORGOTTEN, Machine, known, tell
from antiphon.storage.database import Database
from antiphon.values import Capacity

SMALL, LARGE = Capacity(cpus=2000, memory=2**31), Capacity(cpus=64_000, memory=2**40, gpus=8)
NOW = 1_800_000_000


async def test_what_was_told_lately_is_known_in_the_order_of_names(database: Database) -> None:
    run = DatabaseStore(database).run
    assert await run(known, NOW) == []
    await run(partial(tell, server="s", machines={"b": LARGE, "a": SMALL}, now=NOW))
    assert await run(known, NOW) == [Machine("s", "a", SMALL), Machine("s", "b", LARGE)]
    await run(partial(tell, server="s", machines={"b": SMALL}, now=NOW + 60))
    assert [one.has for one in await run(known, NOW + 60)] == [SMALL, SMALL], "of the other nothing is new"
    await run(partial(tell, server="r", machines={"b": LARGE}, now=NOW + 60))
    assert (await run(known, NOW + 60))[0] == Machine("r", "b", LARGE), "two may use one machine"


async def test_one_of_which_nothing_is_heard_is_not_counted_on(database: Database) -> None:
    async def there(now: int) -> list[Capacity]:
        return [one.has for one in await DatabaseStore(database).run(known, now)]

    def told(connection: Connection) -> None:
        tell(connection, "s", {"a": SMALL}, NOW)
        tell(connection, "s", {"b": LARGE}, NOW + 100)
        tell(connection, "s", {}, NOW + 100)

    await DatabaseStore(database).run(told)
    assert await there(NOW + FORGOTTEN - 1) == [SMALL, LARGE]
    assert await there(NOW + FORGOTTEN) == [LARGE]
    assert await there(NOW + FORGOTTEN + 100) == []


async def test_two_who_tell_of_the_same_at_once_do_not_disturb_each_other(database: Database) -> None:
    run = DatabaseStore(database).run
    there = {name: SMALL for name in "abcdefgh"}
    await asyncio.gather(*(run(partial(tell, server="s", machines=there, now=NOW + n)) for n in range(8)))
    assert len(await run(known, NOW)) == len(there)
