"""Requests are counted once each, by minute, for all processes together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from antiphon.errors import Unavailable
from antiphon.settings import Settings
from antiphon.status import counting
from antiphon.status.counting import MOST, SERVICE, Counter, flush, keep
from antiphon.status.outcomes import PROBES, Ended, objectives
from antiphon.storage.database import Database
from status_house import BEGIN, Minutes

GOOD = Ended(route="/v1/chat/completions", status=200, complete=True, seconds=1.0)


class Clock:
    now = float(BEGIN)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counter(clock: Clock) -> Counter:
    return Counter(objectives(Settings()), clock)


def test_only_what_counts_is_counted(clock: Clock) -> None:
    counts = counter(clock)
    counts.count(GOOD, "org-1")
    counts.count(replace(GOOD, seconds=100.0), "org-1")
    counts.count(replace(GOOD, status=503), "")
    counts.count(replace(GOOD, status=400), "org-1")
    counts.count(replace(GOOD, status=0, complete=False), "org-1")
    counts.count(replace(GOOD, route="/status"), "")
    counts.count(replace(GOOD, status=500), PROBES)
    clock.now += 59
    counts.note("speech", good=False)
    clock.now += 1
    counts.count(GOOD, "org-2")
    assert counts.take() == {
        ("chat", BEGIN): [1, 2],
        ("speech", BEGIN): [0, 1],
        ("chat", BEGIN + 60): [1, 0],
    }
    assert counts.take() == {}


def test_that_it_lives_is_counted_once_a_minute(clock: Clock) -> None:
    counts = counter(clock)
    counts.live()
    counts.live()
    assert counts.take() == {(SERVICE, BEGIN): [1, 0]}
    counts.live()
    assert counts.take() == {}
    clock.now += 60
    counts.live()
    assert counts.take() == {(SERVICE, BEGIN + 60): [1, 0]}


async def test_processes_add_up(clock: Clock, database: Database) -> None:
    one, other = counter(clock), counter(clock)
    for counts in (one, other, one):
        counts.count(GOOD, "org-1")
    other.count(replace(GOOD, status=500), "org-1")
    await asyncio.gather(flush(one, database), flush(other, database))
    await flush(one, database)  # nothing is left
    one.count(GOOD, "org-1")
    await flush(one, database)
    assert await Minutes(database).counted() == {("chat", BEGIN): (4, 1)}


async def test_what_cannot_be_written_is_kept(
    clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = counter(clock)
    monkeypatch.setattr(counting, "FLUSH_SECONDS", 0.01)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder.db") as database:
        counts.count(GOOD, "org-1")
        with pytest.raises(Unavailable):
            await flush(counts, database)
        with caplog.at_level(logging.WARNING, counting.__name__), suppress(TimeoutError):
            await asyncio.wait_for(keep(counts, database, serves=True), 0.3)
    assert len([one for one in caplog.records if one.name == counting.__name__]) == 1
    assert counts.take() == {("chat", BEGIN): [1, 0], (SERVICE, BEGIN): [1, 0]}


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(clock: Clock) -> None:
    counts = counter(clock)
    counts.give_back({("chat", BEGIN + n * 60): (1, 0) for n in range(MOST + 5)})
    kept = counts.take()
    assert len(kept) == MOST and min(at for _, at in kept) == BEGIN + 5 * 60
