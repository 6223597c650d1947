"""Members: the people of an organization, and what each may change there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, func, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy
from antiphon.access.keys import Keys
from antiphon.access.paging import LIMIT, Page, among, page
from antiphon.errors import InvalidRequest
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import api_key, member
from antiphon.values import Caller, Role

EMAIL_CHARACTERS = 254


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Times are unix seconds."""

    id: str
    email: str
    name: str
    role: Role
    added_at: int


_COLUMNS = [member.c[name] for name in Member.__struct_fields__]


class Members:
    """The members of an organization, which every method names. `by` as in `Organizations`.

    `NotFound` is raised for a member who does not exist, was removed or is another organization's, in the
    same words; `InvalidRequest` where the last owner would go.
    """

    def __init__(self, database: Database, keys: Keys, clock: Callable[[], float]) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._record = audit.Recorder(clock)

    async def list(
        self,
        organization_id: str,
        *,
        after: str | None = None,
        limit: int = LIMIT,
        emails: Sequence[str] = (),
    ) -> Page[Member]:
        """Who was added first comes first; with `emails`, these members alone."""
        wanted = among(member.c.email, (email.lower() for email in emails)) if emails else true()
        async with self._database.connect() as connection:
            rows, more = await page(
                connection,
                select(*_COLUMNS).where(member.c.organization_id == organization_id),
                member.c.added_at,
                member.c.id,
                after=after,
                limit=limit,
                shown=member.c.removed_at.is_(None) & wanted,
            )
        return Page([Member(**row._mapping) for row in rows], more)

    async def get(self, organization_id: str, member_id: str) -> Member:
        async with self._database.connect() as connection:
            return await _one(connection, _present(organization_id).where(member.c.id == member_id))

    async def find(self, organization_id: str, email: str) -> Member:
        """The member with this id or address."""
        same = (member.c.id == email) | (member.c.email == email.lower())
        async with self._database.connect() as connection:
            return await _one(connection, _present(organization_id).where(same))

    async def add(
        self, organization_id: str, email: str, name: str, role: Role, *, by: Caller | None
    ) -> Member:
        """A new member, or one who was removed and comes back. `InvalidRequest` for one who is there."""
        _check_email(email)
        tenancy.check_name("name", name)
        email, now = email.lower(), int(self._clock())
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            query = select(member.c.id, member.c.removed_at).where(
                member.c.organization_id == organization_id, member.c.email == email
            )
            known = (await connection.execute(query)).one_or_none()
            if known is not None and known.removed_at is None:
                raise InvalidRequest("There is already a member with this address.", param="email")
            made = Member(
                id=known.id if known else new_id("user-"), email=email, name=name, role=role, added_at=now
            )
            row = msgspec.structs.asdict(made) | {"organization_id": organization_id, "removed_at": None}
            change = update(member).where(member.c.id == made.id) if known else insert(member)
            await connection.execute(change.values(row))
            payload = {"id": made.id, "data": {"email": email, "role": role}}
            await self._record(connection, "user.added", payload, organization_id, by)
        return made

    async def change_role(
        self, organization_id: str, member_id: str, role: Role, *, by: Caller | None
    ) -> Member:
        """What the member's admin keys may do shrinks with it (every process within a second)."""
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            query = _present(organization_id).where(member.c.id == member_id)
            found = await _one(connection, query)
            if found.role == role:
                return found
            await _require_another_owner(connection, organization_id, found)
            await connection.execute(update(member).where(member.c.id == member_id).values(role=role))
            payload = {"id": member_id, "changes_requested": {"role": role}}
            await self._record(connection, "user.updated", payload, organization_id, by)
            return await _one(connection, query)

    async def remove(self, organization_id: str, member_id: str, *, by: Caller | None) -> None:
        """Remove the member, and revoke the member's keys (every process within a second)."""
        now = int(self._clock())
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            found = await _one(connection, _present(organization_id).where(member.c.id == member_id))
            await _require_another_owner(connection, organization_id, found)
            await connection.execute(update(member).where(member.c.id == member_id).values(removed_at=now))
            await self._keys.revoke_all(connection, api_key.c.member_id == member_id, by=by)
            await self._record(connection, "user.deleted", {"id": member_id}, organization_id, by)


def _present(organization_id: str) -> Select[Any]:
    return select(*_COLUMNS).where(member.c.organization_id == organization_id, member.c.removed_at.is_(None))


async def _one(connection: AsyncConnection, query: Select[Any]) -> Member:
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise tenancy.missing("user")
    return Member(**row._mapping)


async def _require_another_owner(connection: AsyncConnection, organization_id: str, leaving: Member) -> None:
    if leaving.role != "owner":
        return
    owners = _present(organization_id).where(member.c.role == "owner").subquery()
    if await connection.scalar(select(func.count()).select_from(owners)) == 1:
        raise InvalidRequest("The last owner of an organization cannot be removed or get another role.")


def _check_email(email: str) -> None:
    local, _, domain = email.rpartition("@")
    plain = email.isascii() and email.isprintable() and " " not in email
    if not (local and domain and plain and len(email) <= EMAIL_CHARACTERS):
        raise InvalidRequest("'email' must be an address like name@example.com.", param="email")
