from __future__ import annotations

import json

import pytest
from sqlalchemy import insert, select

from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log, organization
from antiphon.values import Caller


async def test_an_event_is_stored_as_it_was_told_and_only_with_its_change(database: Database) -> None:
    by = Caller(key_id="key_a", organization_id="org-a", organization="a")

    async def change(number: int) -> None:
        async with database.begin() as connection:
            await audit.record(
                connection,
                "thing.updated",
                {"id": "thing_1", "name": "é"},
                organization_id="org-a",
                project_id="proj_a",
                by=by,
                now=1000.5,
            )
            1 / number

    row = {"id": "org-a", "name": "a", "created_at": 1, "prepaid": False}
    async with database.begin() as connection:
        await connection.execute(insert(organization).values(row))
    await change(1)
    with pytest.raises(ZeroDivisionError):
        await change(0)
    async with database.connect() as connection:
        [event] = (
            await connection.execute(select(audit_log).where(audit_log.c.organization_id.is_not(None)))
        ).all()
    assert (event.type, event.effective_at, event.project_id) == ("thing.updated", 1000, "proj_a")
    assert (event.organization_id, event.actor_key_id) == ("org-a", "key_a")
    assert json.loads(event.payload) == {"id": "thing_1", "name": "é"}


async def test_a_service_tells_by_its_own_clock(database: Database) -> None:
    record = audit.Recorder(lambda: 2000.5)
    async with database.begin() as connection:
        await connection.execute(
            insert(organization).values({"id": "org-b", "name": "b", "created_at": 1, "prepaid": False})
        )
        await record(connection, "user.added", {"id": "user-1"}, "org-b", None)
        await record(connection, "project.created", {"id": "proj_b"}, "org-b", None, "proj_b")
        query = select(audit_log.c.effective_at, audit_log.c.project_id, audit_log.c.actor_key_id)
        told = await connection.execute(query.where(audit_log.c.organization_id == "org-b"))
        assert sorted(told.all(), key=str) == [(2000, "proj_b", None), (2000, None, None)]
