"""What the database holds after a power cut: all that was acknowledged, and no half of anything else.

SQLite, under the product's own connections, over a disk that loses what was not synced (`tests/power.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from antiphon.errors import Unavailable
from antiphon.storage import sqlite
from antiphon.storage.database import Database
from power import losing

ROWS = 48
_OFTEN = "PRAGMA wal_autocheckpoint = 8"
"""Pages after which the log is copied into the file: cuts meet that, too."""


def added(number: int) -> Callable[[Connection], None]:
    """A row of several pages, and their count, which is right only if both are there."""

    def add(connection: Connection) -> None:
        connection.exec_driver_sql("insert into line values (?, randomblob(9000))", (number,))
        connection.exec_driver_sql("update count set lines = lines + 1")

    return add


async def cut_at_random(folder: Path, seed: int) -> list[tuple[Path, int]]:
    """Images of a disk under a database that was written to, and how many rows were acknowledged by then."""
    home = folder / "home"
    chance, images, acknowledged = random.Random(seed), [], 0
    with losing(home) as disk:
        async with Database(f"sqlite+aiosqlite:///{home}/a.db") as database:

            def begin(connection: Connection) -> None:
                connection.exec_driver_sql(_OFTEN)
                connection.exec_driver_sql("create table line (number integer primary key, content blob)")
                connection.exec_driver_sql("create table count (lines integer)")
                connection.exec_driver_sql("insert into count values (0)")

            def before() -> None:
                if chance.random() < 0.03:
                    images.append((disk.image(folder / f"cut-{len(images)}", chance), acknowledged))

            await database.run(begin)
            disk.before = before
            for number in range(ROWS):
                if number % 3:
                    await database.run(added(number))
                else:
                    async with database.begin() as connection:
                        await connection.run_sync(added(number))
                acknowledged += 1
                if number == ROWS // 2:
                    await database.forget()
            images.append((disk.image(folder / "cut-last", chance), acknowledged))
            disk.before = lambda: None
    return images


async def there(image: Path) -> tuple[list[int], int]:
    """The rows that a server finds that starts with this disk, and how many there ought to be."""
    async with Database(f"sqlite+aiosqlite:///{image}/a.db") as database:
        async with database.connect() as connection:
            assert await connection.scalar(text("pragma integrity_check")) == "ok"
            rows = list(await connection.scalars(text("select number from line order by number")))
            return rows, await connection.scalar(text("select lines from count"))


@pytest.mark.fault("the power fails under the database")
@pytest.mark.parametrize("seed", range(3))
async def test_the_database_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    images = await cut_at_random(tmp_path, seed)
    assert len(images) > 15
    for image, acknowledged in images:
        rows, count = await there(image)
        # Of the one that was being committed nobody was told: it is there, whole, or it is not.
        assert rows in (list(range(acknowledged)), list(range(acknowledged + 1))), image
        assert count == len(rows), image


@pytest.mark.parametrize("mode", ["NORMAL", "OFF"])
async def test_the_disk_does_lose_what_is_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    plain = sqlite._open

    def careless(*given: Any) -> Any:
        connection = plain(*given)
        connection.execute(f"PRAGMA synchronous = {mode}")
        return connection

    monkeypatch.setattr(sqlite, "_open", careless)
    lost = 0
    for image, acknowledged in await cut_at_random(tmp_path, 0):
        try:
            lost += len((await there(image))[0]) < acknowledged
        except (AssertionError, Unavailable):
            lost += 1  # not even a database
    assert lost > 5
