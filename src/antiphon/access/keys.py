"""API keys: made, shown once, rotated, revoked. Only a keyed hash of each secret is stored."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, exists, insert, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tenancy, tokens
from antiphon.access.api_key import ApiKey, NewKey, Realm, keys_of, shown
from antiphon.access.paging import LIMIT, Order, Page, page
from antiphon.access.permissions import SCOPES, require_grant
from antiphon.errors import Forbidden, InvalidRequest
from antiphon.storage import audit
from antiphon.storage.database import Database
from antiphon.storage.ids import new_id
from antiphon.storage.tables import api_key, api_key_secret, member, service_account
from antiphon.values import Caller
from antiphon.wire.admin.lists import LONGEST_SECONDS

GRACE_SECONDS = 86_400
TOKEN_CHARACTERS = 255

_ANY = select(exists(select(api_key.c.id)))


class Keys:
    """The keys of an installation, each in a `Realm`. `pepper` as `load_pepper` gives it.

    `by` is who asks; None is the operator's command line. `NotFound` is raised for a key that does not
    exist, was revoked or is of another realm, in the same words; `Forbidden` for a key that could do more
    than the one that makes or rotates it, or for longer.
    """

    def __init__(self, database: Database, pepper: bytes, clock: Callable[[], float]) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock

    async def create(self, new: NewKey, *, by: Caller | None) -> tuple[ApiKey, str]:
        """A new key and its secret, which nothing can show again.

        Raises `InvalidRequest` for a value that is none, and for an archived project.
        """
        async with self._database.begin() as connection:
            return await self.insert(connection, new, by=by)

    async def insert(
        self, connection: AsyncConnection, new: NewKey, *, by: Caller | None
    ) -> tuple[ApiKey, str]:
        """`create`, in the caller's transaction."""
        realm = new.realm
        tenancy.check_name("name", new.name)
        _check_seconds("expires_in_seconds", new.expires_in_seconds, least=1)
        given = _checked_scopes(new.scopes) if realm.kind == "project" else frozenset()
        require_grant(by, realm.kind, role=new.role, scopes=given)
        await self._lock(connection, realm, active=True)
        await _require_owner(connection, new)
        now, secret = int(self._clock()), tokens.new_secret()
        end = None if new.expires_in_seconds is None else now + new.expires_in_seconds
        await _require_end(connection, by, end)
        key_id = new_id("key_")
        row = {
            "id": key_id,
            "kind": realm.kind,
            "organization_id": realm.organization_id,
            "project_id": realm.project_id,
            "member_id": new.member_id,
            "service_account_id": new.service_account_id,
            "role": new.role if realm.kind == "admin" else None,
            "scopes": " ".join(sorted(given)),
            "name": new.name,
            "redacted": tokens.redacted(secret),
            "created_at": now,
            "expires_at": end,
        }
        await connection.execute(insert(api_key).values(row))
        await self._insert_secret(connection, key_id, secret, tokens.rotation(self._pepper, key_id, secret))
        data = {"name": new.name, "scopes": sorted(given), "kind": realm.kind}
        await self._record(connection, "api_key.created", {"id": key_id, "data": data}, realm, by)
        return await self._one(connection, realm, key_id), secret

    async def has_ever_existed(self) -> bool:
        """Whether any key was ever made here."""
        async with self._database.connect() as connection:
            return bool(await connection.scalar(_ANY))

    async def ensure_first(self, organization_id: str, project_id: str) -> str | None:
        """The secret of a first key of this project if no key has ever existed, else None."""
        async with self._database.begin() as connection:
            await tenancy.lock_installation(connection)
            if await connection.scalar(_ANY):
                return None
            first = NewKey(realm=Realm(organization_id, project_id), name="first key")
            return (await self.insert(connection, first, by=None))[1]

    async def list(
        self,
        realm: Realm | None,
        *,
        after: str | None = None,
        limit: int = LIMIT,
        order: Order = "asc",
        revoked: bool = False,
    ) -> Page[ApiKey]:
        """The keys of a realm, or of the whole installation; the oldest first, or last with "desc".

        A browser's session is none.
        """
        query = keys_of(realm).where(api_key.c.kind != "session")
        async with self._database.connect() as connection:
            rows, more = await page(
                connection,
                query,
                api_key.c.created_at,
                api_key.c.id,
                after=after,
                limit=limit,
                order=order,
                shown=true() if revoked else api_key.c.revoked_at.is_(None),
            )
        return Page([shown(row) for row in rows], more)

    async def get(self, realm: Realm | None, key_id: str) -> ApiKey:
        async with self._database.connect() as connection:
            return await self._one(connection, realm, key_id)

    async def update(
        self,
        realm: Realm,
        key_id: str,
        *,
        name: str | None = None,
        scopes: Collection[str] | None = None,
        expires_in_seconds: int | None = None,
        by: Caller | None,
    ) -> ApiKey:
        """Change what is given (every process within a second); `scopes` are a project key's alone.

        Raises `InvalidRequest` for a value that is none, and for a key that has expired.
        """
        if name is not None:
            tenancy.check_name("name", name)
        _check_seconds("expires_in_seconds", expires_in_seconds, least=1)
        now, given = int(self._clock()), None if scopes is None else _checked_scopes(scopes)
        end = None if expires_in_seconds is None else now + expires_in_seconds
        changes = {
            "name": name,
            "scopes": None if given is None else " ".join(sorted(given)),
            "expires_at": end,
        }
        changes = {field: value for field, value in changes.items() if value is not None}
        requested = {
            "name": name,
            "scopes": given and sorted(given),
            "expires_in_seconds": expires_in_seconds,
        }
        async with self._database.begin() as connection:
            await self._lock(connection, realm)
            key = await self._one(connection, realm, key_id)
            if key.state(now) == "expired":
                raise InvalidRequest("The key has expired: it cannot be changed.")
            require_grant(by, realm.kind, role=key.role or "reader", scopes=given or frozenset())
            if end is not None:
                await _require_end(connection, by, end)
            if changes:
                await connection.execute(update(api_key).where(api_key.c.id == key_id).values(changes))
                payload = {"id": key_id, "changes_requested": {k: v for k, v in requested.items() if v}}
                await self._record(connection, "api_key.updated", payload, realm, by)
            return await self._one(connection, realm, key_id)

    async def revoke(self, realm: Realm, key_id: str, *, by: Caller | None) -> None:
        """Refuse the key from now on (every process within a second)."""
        async with self._database.begin() as connection:
            await self._lock(connection, realm)
            await self._one(connection, realm, key_id)
            await self.revoke_all(connection, api_key.c.id == key_id, by=by)

    async def revoke_all(
        self, connection: AsyncConnection, which: ColumnElement[bool], *, by: Caller | None
    ) -> None:
        """Revoke the keys that are `which`, in the caller's transaction, which has locked their realms."""
        query = keys_of(None).where(which, api_key.c.revoked_at.is_(None))
        found = map(shown, (await connection.execute(query)).all())
        # In the order of ids, as `Authenticator.flush_used` writes: neither waits for the other in a circle.
        for key in sorted(found, key=lambda key: key.id):
            change = update(api_key).where(api_key.c.id == key.id)
            await connection.execute(change.values(revoked_at=int(self._clock())))
            await self._record(connection, "api_key.deleted", {"id": key.id}, key.realm, by)

    async def rotate(
        self,
        realm: Realm,
        key_id: str,
        *,
        token: str | None = None,
        grace_seconds: int = GRACE_SECONDS,
        by: Caller | None,
    ) -> tuple[ApiKey, str]:
        """A new secret for the key, whose id and limits stay; older ones count `grace_seconds` longer.

        `token` names the rotation: the same one asked for again gives the same secret and changes nothing.
        Without one, each call is a rotation of its own. Raises `InvalidRequest` for a token whose secret has
        ended since, because of a later rotation.
        """
        name = secrets.token_hex(16) if token is None else _checked_token(token)
        _check_seconds("grace_seconds", grace_seconds, least=0)
        made = tokens.rotated_secret(self._pepper, key_id, name)
        rotation = tokens.rotation(self._pepper, key_id, name)
        async with self._database.begin() as connection:
            await self._lock(connection, realm, active=True)
            key = await self._one(connection, realm, key_id)
            require_grant(by, key.kind, role=key.role or "reader", scopes=frozenset(key.scopes))
            await _require_end(connection, by, key.expires_at)
            if not await self._is_repeated(connection, key_id, rotation):
                await self._replace_secrets(connection, key_id, made, rotation, grace_seconds)
                payload = {
                    "id": key_id,
                    "changes_requested": {"rotated": True, "grace_seconds": grace_seconds},
                }
                await self._record(connection, "api_key.updated", payload, realm, by)
            return await self._one(connection, realm, key_id), made

    async def _is_repeated(self, connection: AsyncConnection, key_id: str, rotation: bytes) -> bool:
        query = select(api_key_secret.c.expires_at).where(
            api_key_secret.c.key_id == key_id, api_key_secret.c.rotation == rotation
        )
        row = (await connection.execute(query)).one_or_none()
        if row is not None and row.expires_at is not None and row.expires_at <= self._clock():
            raise InvalidRequest(
                "The secret of this rotation has ended: the key was rotated again since.", param="rotation_id"
            )
        return row is not None

    async def _replace_secrets(
        self, connection: AsyncConnection, key_id: str, made: str, rotation: bytes, grace: int
    ) -> None:
        end = int(self._clock()) + grace
        column = api_key_secret.c.expires_at
        older = update(api_key_secret).where(
            api_key_secret.c.key_id == key_id, or_(column.is_(None), column > end)
        )
        await connection.execute(older.values(expires_at=end))
        await self._insert_secret(connection, key_id, made, rotation)
        change = update(api_key).where(api_key.c.id == key_id)
        await connection.execute(change.values(redacted=tokens.redacted(made)))

    async def _insert_secret(
        self, connection: AsyncConnection, key_id: str, secret: str, rotation: bytes
    ) -> None:
        await connection.execute(
            insert(api_key_secret).values(
                digest=tokens.digest(self._pepper, secret),
                key_id=key_id,
                rotation=rotation,
                created_at=int(self._clock()),
            )
        )

    async def _lock(self, connection: AsyncConnection, realm: Realm, *, active: bool = False) -> None:
        if realm.organization_id is None:
            return await tenancy.lock_installation(connection)
        await tenancy.lock_organization(connection, realm.organization_id)
        if realm.project_id is not None:
            await tenancy.require_project(connection, realm.organization_id, realm.project_id, active=active)

    async def _one(self, connection: AsyncConnection, realm: Realm | None, key_id: str) -> ApiKey:
        query = keys_of(realm).where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise tenancy.missing("API key")
        return shown(row)

    async def _record(
        self,
        connection: AsyncConnection,
        type: str,
        payload: dict[str, Any],
        realm: Realm,
        by: Caller | None,
    ) -> None:
        await audit.record(
            connection,
            type,
            payload,
            organization_id=realm.organization_id,
            project_id=realm.project_id,
            by=by,
            now=self._clock(),
        )


def _checked_scopes(scopes: Collection[str]) -> frozenset[str]:
    given = frozenset(scopes)
    if not given or not given <= SCOPES:
        raise InvalidRequest(f"'scopes' must be some of {', '.join(sorted(SCOPES))}.", param="scopes")
    return given


def _check_seconds(param: str, seconds: int | None, *, least: int) -> None:
    if seconds is not None and not least <= seconds <= LONGEST_SECONDS:
        raise InvalidRequest(f"'{param}' must be between {least} and {LONGEST_SECONDS}.", param=param)


def _checked_token(token: str) -> str:
    if not 1 <= len(token) <= TOKEN_CHARACTERS or not token.isprintable():
        raise InvalidRequest(
            f"'rotation_id' must be 1 to {TOKEN_CHARACTERS} characters that can be printed.",
            param="rotation_id",
        )
    return token


async def _require_end(connection: AsyncConnection, by: Caller | None, end: int | None) -> None:
    """Raise `Forbidden` for an end later than that of the caller's own key. None is never.

    A person's session ends while the person stays.
    """
    if by is None or by.kind == "session":
        return
    own = await connection.scalar(select(api_key.c.expires_at).where(api_key.c.id == by.key_id))
    if own is not None and (end is None or end > own):
        raise Forbidden("A key that ends cannot give out one that outlasts it.")


async def _require_owner(connection: AsyncConnection, new: NewKey) -> None:
    """Raise `NotFound` for an owner who is not there, or somewhere else."""
    if new.member_id is not None:
        query = select(member.c.id).where(
            member.c.id == new.member_id,
            member.c.organization_id == new.realm.organization_id,
            member.c.removed_at.is_(None),
        )
        if await connection.scalar(query) is None:
            raise tenancy.missing("user")
    if new.service_account_id is not None:
        query = select(service_account.c.id).where(
            service_account.c.id == new.service_account_id,
            service_account.c.project_id == new.realm.project_id,
            service_account.c.deleted_at.is_(None),
        )
        if await connection.scalar(query) is None:
            raise tenancy.missing("service account")
