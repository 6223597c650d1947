"""The machines where engines run, on both databases."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from antiphon.ledger.store import DatabaseStore
from antiphon.pools.machines import FORGOTTEN, known, tell
from antiphon.storage.database import Database
from antiphon.values import Capacity

SMALL, LARGE = Capacity(cpus=2000, memory=2**31), Capacity(cpus=64_000, memory=2**40, gpus=8)
NOW = 1_800_000_000


async def test_what_was_told_lately_is_known_in_the_order_of_names(database: Database) -> None:
    run = DatabaseStore(database).run
    assert await run(known, NOW) == []
    await run(partial(tell, machines={"b": LARGE, "a": SMALL}, now=NOW))
    assert await run(known, NOW) == [SMALL, LARGE]
    await run(partial(tell, machines={"b": SMALL}, now=NOW + 60))
    assert await run(known, NOW + 60) == [SMALL, SMALL], "another process runs the other"


async def test_one_of_which_nothing_is_heard_is_not_counted_on(database: Database) -> None:
    async def there(now: int) -> list[Capacity]:
        return await DatabaseStore(database).run(known, now)

    def told(connection: Connection) -> None:
        tell(connection, {"a": SMALL}, NOW)
        tell(connection, {"b": LARGE}, NOW + 100)
        tell(connection, {}, NOW + 100)

    await DatabaseStore(database).run(told)
    assert await there(NOW + FORGOTTEN - 1) == [SMALL, LARGE]
    assert await there(NOW + FORGOTTEN) == [LARGE]
    assert await there(NOW + FORGOTTEN + 100) == []
