"""API keys: made, shown once, looked up, revoked. Only a keyed hash of each is stored."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from sqlalchemy import bindparam, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from antiphon.access import tokens
from antiphon.access.lookups import Lookups
from antiphon.access.tenancy import DEFAULT, ensure_project
from antiphon.errors import InvalidRequest, NotFound, Unauthenticated, Unavailable
from antiphon.storage.database import Database
from antiphon.storage.tables import api_key, organization, project
from antiphon.values import Caller

REMEMBER_SECONDS = 0.5
"""How long an answer of the database counts. A revoked key is refused after that, in every process."""
REMEMBERED = 10_000
LOOKUP_SECONDS = 8.0
"""Longest wait for the database while a caller is authenticated."""
USE_SECONDS = 60
"""`last_used_at` is written at most once in this time for each key."""
NAME_CHARACTERS = 100

State = Literal["active", "expired", "revoked"]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown. Times are unix seconds."""

    id: str
    name: str
    project: str
    redacted: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None

    def state(self, now: float) -> State:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class _Known(msgspec.Struct, frozen=True):
    """What the database says of a key that is not revoked."""

    caller: Caller
    digest: bytes
    expires_at: float


class Keys:
    """The keys of one installation. `pepper` as `load_pepper` gives it."""

    def __init__(
        self,
        database: Database,
        pepper: bytes,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock
        self._lookups = Lookups(self._find, seconds=REMEMBER_SECONDS, bound=REMEMBERED, clock=monotonic)
        self._used: dict[str, int] = {}

    async def authenticate(self, token: str) -> Caller:
        """Who shows this key. Raises `Unauthenticated`, or `Unavailable` if the database does not answer."""
        if not tokens.is_well_formed(token):
            raise _refusal(token)
        digest = self._digest(token)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                known = await self._lookups.get(digest)
        except TimeoutError:
            raise Unavailable("The key could not be checked in time.", retry_after=1) from None
        now = self._clock()
        if known is None or not hmac.compare_digest(known.digest, digest) or known.expires_at <= now:
            raise _refusal(token)
        key_id = known.caller.key_id
        if key_id in self._used or len(self._used) < REMEMBERED:
            self._used[key_id] = int(now)
        return known.caller

    async def create(self, project: str, name: str, expires: int | None = None) -> tuple[ApiKey, str]:
        """A new key and its secret, which nothing can show again. The project is made if it is missing.

        `expires` is in unix seconds. Raises `InvalidRequest` for a name that cannot be shown.
        """
        _check_name("project", project)
        _check_name("name", name)
        async with self._database.begin() as connection:
            return await self._insert(connection, project, name, expires)

    async def ensure_default(self) -> str | None:
        """Make the default organization and project; the secret of a first key if none has ever existed."""
        async with self._database.begin() as connection:
            await ensure_project(connection, DEFAULT, int(self._clock()))
            if await connection.scalar(select(exists(select(api_key.c.id)))):
                return None
            return (await self._insert(connection, DEFAULT, "first key", None))[1]

    async def list(self) -> Sequence[ApiKey]:
        """Every key that was ever made, the oldest first."""
        names = [column for column in ApiKey.__struct_fields__ if column != "project"]
        query = (
            select(project.c.name.label("project"), *(api_key.c[name] for name in names))
            .join(project, api_key.c.project_id == project.c.id)
            .order_by(api_key.c.created_at, api_key.c.id)
        )
        async with self._database.connect() as connection:
            return [ApiKey(**row._mapping) for row in await connection.execute(query)]

    async def revoke(self, key_id: str) -> None:
        """Refuse the key from now on (every process within a second). Raises `NotFound`; twice is once."""
        change = (
            update(api_key)
            .where(api_key.c.id == key_id)
            .values(revoked_at=func.coalesce(api_key.c.revoked_at, int(self._clock())))
        )
        async with self._database.begin() as connection:
            if (await connection.execute(change)).rowcount == 0:
                raise NotFound(f"There is no API key with the id '{key_id[:100]}'.")

    async def flush_used(self) -> None:
        """Write when keys were last used; call it now and then, off the request's path.

        What cannot be written is dropped: the next use will tell.
        """
        used, self._used = self._used, {}
        if not used:
            return
        change = (
            update(api_key)
            .where(api_key.c.id == bindparam("key_id"))
            .where(func.coalesce(api_key.c.last_used_at, 0) + USE_SECONDS <= bindparam("used_at"))
            .values(last_used_at=bindparam("used_at"))
        )
        async with self._database.begin() as connection:
            await connection.execute(change, [{"key_id": key, "used_at": at} for key, at in used.items()])

    def _digest(self, token: str) -> bytes:
        return hmac.digest(self._pepper, token.encode(), hashlib.sha256)

    async def _find(self, digest: bytes) -> _Known | None:
        query = (
            select(
                api_key.c.id,
                api_key.c.digest,
                api_key.c.expires_at,
                api_key.c.project_id,
                project.c.organization_id,
                organization.c.name,
            )
            .join(project, api_key.c.project_id == project.c.id)
            .join(organization, project.c.organization_id == organization.c.id)
            .where(api_key.c.digest == digest, api_key.c.revoked_at.is_(None))
        )
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        caller = Caller(
            key_id=row.id,
            project_id=row.project_id,
            organization_id=row.organization_id,
            organization=row.name,
        )
        return _Known(caller, row.digest, math.inf if row.expires_at is None else row.expires_at)

    async def _insert(
        self, connection: AsyncConnection, project_name: str, name: str, expires: int | None
    ) -> tuple[ApiKey, str]:
        now = int(self._clock())
        secret = tokens.new_secret()
        key = ApiKey(
            id=tokens.new_id("key_"),
            name=name,
            project=project_name,
            redacted=tokens.redacted(secret),
            created_at=now,
            expires_at=expires,
        )
        values = msgspec.structs.asdict(key) | {
            "project_id": await ensure_project(connection, project_name, now),
            "digest": self._digest(secret),
        }
        del values["project"]
        await connection.execute(insert(api_key).values(values))
        return key, secret


def _refusal(token: str) -> Unauthenticated:
    return Unauthenticated(
        f"Incorrect API key provided: {tokens.redacted(token)}. "
        "You can make a new API key with `antiphon keys create`."
    )


def _check_name(param: str, name: str) -> None:
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"The {'name' if param == 'name' else 'project name'} must be 1 to {NAME_CHARACTERS} characters "
            "that can be printed.",
            param=param,
        )
