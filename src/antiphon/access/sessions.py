"""Sessions of the console: a browser that signed in, until it signs out or the time is over.

A session is a row among the keys, of a kind of its own: it is looked up, remembered, revoked and named in the
audit log as keys are. Its secret is shown in a cookie alone, and what it may do is what its member may.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy, tokens
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import api_key, api_key_secret, member, organization
from antiphon.values import Caller

HOURS = 168.0
"""Until one ends, unless a setting says otherwise."""


class Sessions:
    """`pepper` as `load_pepper` gives it; `clock` in unix seconds; `hours` until a session ends."""

    def __init__(
        self, database: Database, pepper: bytes, clock: Callable[[], float], hours: float = HOURS
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock
        self.seconds = int(hours * 3600)

    async def insert(self, connection: AsyncConnection, member_id: str, how: str) -> str:
        """The secret of a new session of this member, who proved to be that person by `how`.

        Raises `NotFound` for a member who was removed.
        """
        now, secret, key_id = int(self._clock()), tokens.new_secret(), new_id("key_")
        columns = (member.c.organization_id, member.c.email, organization.c.name, member.c.removed_at)
        query = select(*columns).join(organization, organization.c.id == member.c.organization_id)
        person = (await connection.execute(query.where(member.c.id == member_id))).one_or_none()
        if person is None or person.removed_at is not None:
            raise tenancy.missing("user")
        row = {
            "id": key_id,
            "kind": "session",
            "organization_id": person.organization_id,
            "member_id": member_id,
            "role": "owner",  # and never more than the member's
            "scopes": "",
            "name": person.email[: tenancy.NAME_CHARACTERS],
            "redacted": "session",
            "created_at": now,
            "expires_at": now + self.seconds,
        }
        await connection.execute(insert(api_key).values(row))
        secrets = {
            "digest": tokens.digest(self._pepper, secret),
            "key_id": key_id,
            "rotation": tokens.rotation(self._pepper, key_id, "session"),
            "created_at": now,
        }
        await connection.execute(insert(api_key_secret).values(secrets))
        by = Caller(
            key_id=key_id, kind="session", organization_id=person.organization_id,
            organization=person.name, member_id=member_id,
        )  # fmt: skip
        await self._record(connection, "login.succeeded", {"id": member_id, "by": how}, by)
        return secret

    async def end(self, caller: Caller) -> None:
        """End this session: it is refused from now on (every process within a second)."""
        async with self._database.begin() as connection:
            await self.end_in(connection, caller)

    async def end_in(self, connection: AsyncConnection, caller: Caller) -> None:
        """`end`, in the caller's transaction."""
        mine = update(api_key).where(api_key.c.id == caller.key_id, api_key.c.kind == "session")
        await connection.execute(mine.values(revoked_at=int(self._clock())))
        await self._record(connection, "logout.succeeded", {"id": caller.member_id}, caller)

    async def end_others(self, connection: AsyncConnection, member_id: str) -> None:
        """End all sessions of a member, in the caller's transaction."""
        theirs = update(api_key).where(
            api_key.c.member_id == member_id, api_key.c.kind == "session", api_key.c.revoked_at.is_(None)
        )
        await connection.execute(theirs.values(revoked_at=int(self._clock())))

    def proof(self, secret: str) -> str:
        """What pages of this session send along with every change, so that no other site can."""
        return hmac.digest(self._pepper, b"form\0" + secret.encode(), hashlib.sha256).hex()[:32]

    async def _record(
        self, connection: AsyncConnection, type: str, payload: dict[str, str | None], by: Caller
    ) -> None:
        await audit.record(
            connection, type, payload, organization_id=by.organization_id, by=by, now=self._clock()
        )
