"""Service accounts: owners of keys that belong to a program, not to a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy
from antiphon.access.api_key import ApiKey, NewKey, Realm
from antiphon.access.keys import Keys
from antiphon.access.paging import LIMIT, Page, page
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import api_key, service_account
from antiphon.values import Caller

AccountRole = Literal["owner", "member"]


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Times are unix seconds."""

    id: str
    name: str
    role: AccountRole
    created_at: int


_COLUMNS = [service_account.c[name] for name in ServiceAccount.__struct_fields__]


class ServiceAccounts:
    """The service accounts of a project, which every method names. `by` as in `Organizations`.

    `NotFound` is raised for a project or an account that does not exist, was deleted or is somebody else's,
    in the same words; `InvalidRequest` for a name that cannot be shown and in an archived project.
    """

    def __init__(self, database: Database, keys: Keys, clock: Callable[[], float]) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    async def create(
        self,
        organization_id: str,
        project_id: str,
        name: str,
        *,
        role: AccountRole = "member",
        with_key: bool = True,
        expires_in_seconds: int | None = None,
        by: Caller | None,
    ) -> tuple[ServiceAccount, tuple[ApiKey, str] | None]:
        """A new account and its first key with the secret, or neither."""
        tenancy.check_name("name", name)
        made = ServiceAccount(id=new_id("svc_acct_"), name=name, role=role, created_at=int(self._clock()))
        realm = Realm(organization_id, project_id)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            await tenancy.require_project(connection, organization_id, project_id, active=True)
            row = msgspec.structs.asdict(made) | {"project_id": project_id}
            await connection.execute(insert(service_account).values(row))
            payload = {"id": made.id, "data": {"role": role}}
            await self._record(connection, "service_account.created", payload, realm, by)
            if not with_key:
                return made, None
            new = NewKey(
                realm=realm, name=name, service_account_id=made.id, expires_in_seconds=expires_in_seconds
            )
            key = await self._keys.insert(connection, new, by=by)
        return made, key

    async def list(
        self, organization_id: str, project_id: str, *, after: str | None = None, limit: int = LIMIT
    ) -> Page[ServiceAccount]:
        """The oldest first."""
        async with self._database.connect() as connection:
            await tenancy.require_project(connection, organization_id, project_id)
            rows, more = await page(
                connection,
                select(*_COLUMNS).where(service_account.c.project_id == project_id),
                service_account.c.created_at,
                service_account.c.id,
                after=after,
                limit=limit,
                shown=service_account.c.deleted_at.is_(None),
            )
        return Page([ServiceAccount(**row._mapping) for row in rows], more)

    async def get(self, organization_id: str, project_id: str, account_id: str) -> ServiceAccount:
        async with self._database.connect() as connection:
            await tenancy.require_project(connection, organization_id, project_id)
            return await _one(connection, project_id, account_id)

    async def update(
        self,
        organization_id: str,
        project_id: str,
        account_id: str,
        *,
        name: str | None = None,
        role: AccountRole | None = None,
        by: Caller | None,
    ) -> ServiceAccount:
        """Change what is given."""
        if name is not None:
            tenancy.check_name("name", name)
        given = {"name": name, "role": role}
        changes = {field: value for field, value in given.items() if value is not None}
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            await tenancy.require_project(connection, organization_id, project_id, active=True)
            await _one(connection, project_id, account_id)
            if changes:
                change = update(service_account).where(service_account.c.id == account_id)
                await connection.execute(change.values(changes))
                payload = {"id": account_id, "changes_requested": changes}
                realm = Realm(organization_id, project_id)
                await self._record(connection, "service_account.updated", payload, realm, by)
            return await _one(connection, project_id, account_id)

    async def delete(
        self, organization_id: str, project_id: str, account_id: str, *, by: Caller | None
    ) -> None:
        """Delete the account, and revoke its keys (every process within a second)."""
        realm = Realm(organization_id, project_id)
        async with self._database.begin() as connection:
            await tenancy.lock_organization(connection, organization_id)
            await tenancy.require_project(connection, organization_id, project_id)
            await _one(connection, project_id, account_id)
            change = update(service_account).where(service_account.c.id == account_id)
            await connection.execute(change.values(deleted_at=int(self._clock())))
            await self._keys.revoke_all(connection, api_key.c.service_account_id == account_id, by=by)
            await self._record(connection, "service_account.deleted", {"id": account_id}, realm, by)

    async def _record(
        self,
        connection: AsyncConnection,
        type: str,
        payload: dict[str, Any],
        realm: Realm,
        by: Caller | None,
    ) -> None:
        assert realm.organization_id is not None
        await audit.record(
            connection,
            type,
            payload,
            organization_id=realm.organization_id,
            project_id=realm.project_id,
            by=by,
            now=self._clock(),
        )


async def _one(connection: AsyncConnection, project_id: str, account_id: str) -> ServiceAccount:
    query: Select[Any] = select(*_COLUMNS).where(
        service_account.c.id == account_id,
        service_account.c.project_id == project_id,
        service_account.c.deleted_at.is_(None),
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise tenancy.missing("service account")
    return ServiceAccount(**row._mapping)
