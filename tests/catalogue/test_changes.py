"""What operators change while servers run, in both databases."""

from __future__ import annotations

from datetime import date

import pytest

from antiphon.catalogue.changes import Changes
from antiphon.catalogue.entries import Ending
from antiphon.errors import NotFound
from antiphon.storage.database import Database
from sold import instance, put


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes(database: Database, clock: Clock) -> Changes:
    return Changes(database, clock=clock)


async def test_switches_are_kept_in_their_order(changes: Changes, clock: Clock) -> None:
    first = await changes.switch("whisper-1", "b")
    clock.now += 1
    second = await changes.switch("whisper-1", "a", 2000, 'smaller, and "faster"')
    assert (first.at, first.announced_at, second.at, second.announced_at) == (1000, 1000, 2000, 1001)
    assert (await changes.all())[0] == (first, second)


async def test_what_is_to_come_is_called_off_and_what_has_happened_is_not(
    changes: Changes, clock: Clock
) -> None:
    made = await changes.switch("whisper-1", "b", 1500)
    kept = await changes.switch("whisper-1", "c", 1600)
    await changes.cancel(made.id)
    assert (await changes.all())[0] == (kept,)
    clock.now = 1600.0
    for id in (made.id, kept.id, "x"):
        with pytest.raises(NotFound):
            await changes.cancel(id)


async def test_the_end_of_a_snapshot_is_said_said_anew_and_called_off(changes: Changes) -> None:
    ending = Ending(snapshot="a", deprecated=date(2026, 11, 27), shutdown=date(2027, 1, 1), replacement="b")
    await changes.end(ending)
    later = Ending(snapshot="a", deprecated=date(2026, 11, 28), shutdown=date(2027, 2, 1))
    await changes.end(later)
    assert (await changes.all())[1] == (later,)
    await changes.keep("a")
    assert await changes.all() == ((), (), ())
    with pytest.raises(NotFound):
        await changes.keep("a")


async def test_instances_are_among_them_until_they_are_over(
    changes: Changes, clock: Clock, database: Database
) -> None:
    one, two = instance(begins_at=0, ends_at=1001), instance(id="d", created_at=0)
    called_off = instance(id="e", ends_at=instance().begins_at)
    await put(database, one, two, called_off)
    assert (await changes.all())[2] == (two, one)
    clock.now = 1001.0
    assert (await changes.all())[2] == (two,)
