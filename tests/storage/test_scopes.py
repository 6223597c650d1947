"""What limits and policies are set for has to be there, and whose it is."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from sqlalchemy import insert

from antiphon.errors import InvalidRequest, NotFound
from antiphon.storage import scopes
from antiphon.storage.database import Database
from antiphon.storage.tables import organization, project


@pytest.mark.parametrize(
    ("where", "change", "error"),
    [
        (("org-1", None), True, None),
        (("org-2", None), False, NotFound),
        (("org-1", "proj_1"), True, None),
        (("org-1", "proj_old"), False, None),
        (("org-1", "proj_old"), True, InvalidRequest),
        (("org-1", "proj_none"), True, NotFound),
        (("org-2", "proj_1"), False, NotFound),
    ],
)
async def test_what_is_required(
    database: Database, where: tuple[str, str | None], change: bool, error: type[Exception] | None
) -> None:
    async with database.begin() as connection:
        await connection.execute(
            insert(organization).values(id="org-1", name="acme", created_at=1, prepaid=False)
        )
        for id, archived_at in (("proj_1", None), ("proj_old", 2)):
            row = {"id": id, "organization_id": "org-1", "name": id, "created_at": 1}
            await connection.execute(insert(project).values(archived_at=archived_at, **row))
    async with database.begin() as connection:
        with pytest.raises(error) if error else nullcontext():
            await scopes.require(connection, *where, change=change)
