"""The idempotency keys of a process, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from antiphon.errors import Unavailable
from antiphon.ledger import epochs
from antiphon.ledger.claims import Ended, InFlight, Mismatch, New
from antiphon.ledger.idempotency import KEEP_SECONDS, IdempotencyKeys
from antiphon.ledger.store import DatabaseStore
from antiphon.storage.database import Database

KEY, PRINT = b"k" * 32, b"p" * 32


class Desk:
    def __init__(self, database: Database) -> None:
        self.store = DatabaseStore(database)
        self.now = 1_800_000_000.5
        self.keys = IdempotencyKeys(self.store, lambda: "epoch_1", lambda: self.now)

    async def begin(self) -> None:
        await self.store.run(epochs.open_epoch, "epoch_1", "here", int(self.now))


@pytest.fixture
async def desk(database: Database) -> Desk:
    desk = Desk(database)
    await desk.begin()
    return desk


async def test_a_key_is_taken_used_and_freed(desk: Desk) -> None:
    assert await desk.keys.claim(KEY, PRINT, "req_1") == New()
    assert await desk.keys.claim(KEY, PRINT, "req_2") == InFlight("req_1")
    assert await desk.keys.claim(KEY, b"other", "req_2") == Mismatch()
    await desk.keys.drop(KEY, "req_2")
    await desk.keys.end(KEY, "req_1")
    assert await desk.keys.claim(KEY, PRINT, "req_2") == Ended("req_1")
    await desk.keys.drop(KEY, "req_1")
    assert await desk.keys.claim(KEY, PRINT, "req_2") == New()


async def test_a_day_later_it_is_free(desk: Desk) -> None:
    await desk.keys.claim(KEY, PRINT, "req_1")
    await desk.keys.claim(b"another", PRINT, "req_2")
    await desk.keys.end(KEY, "req_1")
    desk.now += KEEP_SECONDS
    await desk.keys.purge()
    assert await desk.keys.claim(KEY, PRINT, "req_3") == Ended("req_1")
    desk.now += 1
    assert await desk.keys.claim(KEY, PRINT, "req_3") == Ended("req_1"), "until the next purge"
    await desk.keys.purge()
    assert await desk.keys.claim(KEY, PRINT, "req_3") == New()
    assert await desk.keys.claim(b"another", PRINT, "req_4") == New()


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_clock_that_jumps_frees_no_key_within_a_day(desk: Desk, jump: float) -> None:
    await desk.keys.claim(KEY, PRINT, "req_1")
    await desk.keys.end(KEY, "req_1")
    desk.now += jump
    for seconds in (0.0, 24 * 3600.0):
        desk.now += seconds
        await desk.keys.purge()
        assert await desk.keys.claim(KEY, PRINT, "req_2") == Ended("req_1")


async def test_a_closed_epoch_takes_no_keys(desk: Desk) -> None:
    def close(connection: Connection) -> None:
        epochs.close(connection, "epoch_1", None, int(desk.now))

    await desk.store.run(close)
    with pytest.raises(Unavailable):
        await desk.keys.claim(KEY, PRINT, "req_1")
