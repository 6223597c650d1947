"""What is told of models stands in the database once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from antiphon.storage.database import Database
from antiphon.storage.tables import notice


async def test_nothing_is_noted_twice(database: Database) -> None:
    row: dict[str, Any] = {
        "key": "k",
        "at": 1,
        "about": "{}",
        "created_at": 1,
        "noted_by": "a",
        "attempts": 0,
    }
    async with database.begin() as connection:
        await connection.execute(insert(notice).values(row | {"id": "msg_1"}))
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.execute(insert(notice).values(row | {"id": "msg_2"}))
