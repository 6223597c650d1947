"""Whose key is shown. One indexed query, remembered for a moment, on the way of every request."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, or_, select, update

from antiphon.access import tenancy, tokens
from antiphon.access.permissions import narrower
from antiphon.errors import Suspended, Unauthenticated, Unavailable
from antiphon.storage.content_tables import content_erasure
from antiphon.storage.database import Database
from antiphon.storage.lookups import Lookups
from antiphon.storage.moderation_tables import organization_standing
from antiphon.storage.tables import (
    api_key,
    api_key_secret,
    data_retention,
    member,
    member_sign_in,
    organization,
    project,
)
from antiphon.values import Caller, Policy, Role

REMEMBER_SECONDS = 0.5
"""How long an answer of the database counts. A revoked key is refused after that, in every process."""
REMEMBERED = 10_000
LOOKUP_SECONDS = 0.45
"""Longest wait for the database while a caller is authenticated."""
USE_SECONDS = 60
"""`last_used_at` is written at most once in this time for each key."""


class _Known(msgspec.Struct, frozen=True):
    """What the database says of a secret that is not revoked."""

    caller: Caller
    digest: bytes
    expires_at: float
    suspended: bool


class Authenticator:
    """The keys of one installation, as one process knows them. `pepper` as `load_pepper` gives it."""

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
        self._lookups = Lookups(
            self._find, seconds=REMEMBER_SECONDS, patience=LOOKUP_SECONDS, bound=REMEMBERED, clock=monotonic
        )
        self._used: dict[str, int] = {}

    async def authenticate(self, token: str) -> Caller:
        """Who shows this key. Raises `Unauthenticated`, or `Unavailable` if the database does not answer.

        `Suspended` for a project's key of an organization that is: its administration stays open.
        """
        if not tokens.is_well_formed(token):
            raise _refusal(token)
        digest = tokens.digest(self._pepper, token)
        try:
            known = await self._lookups.get(digest)
        except TimeoutError:
            raise Unavailable("The key could not be checked in time.", retry_after=1) from None
        now = self._clock()
        if known is None or not hmac.compare_digest(known.digest, digest) or known.expires_at <= now:
            raise _refusal(token)
        if known.suspended and known.caller.kind == "project":
            raise Suspended
        key_id = known.caller.key_id
        if key_id in self._used or len(self._used) < REMEMBERED:
            self._used[key_id] = int(now)
        return known.caller

    async def within(self, caller: Caller, name: str) -> Caller:
        """An operator's caller, working on the organization of this id or name.

        Raises `NotFound`, or `Unavailable` if the database does not answer.
        """
        if not name.isprintable():
            raise tenancy.missing("organization")
        query = select(organization.c.id, organization.c.name).where(
            or_(organization.c.id == name, organization.c.name == name)
        )
        query = query.order_by((organization.c.id == name).desc()).limit(1)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS), self._database.connect() as connection:
                row = (await connection.execute(query)).one_or_none()
        except TimeoutError:
            raise Unavailable("The organization could not be found in time.", retry_after=1) from None
        if row is None:
            raise tenancy.missing("organization")
        return msgspec.structs.replace(caller, organization_id=row.id, organization=row.name)

    async def within_project(self, caller: Caller, name: str) -> Caller:
        """A person's caller, working on the organization's project of this id or name; empty: the oldest.

        Raises `NotFound`, `Suspended`, or `Unavailable` if the database does not answer.
        """
        query = _PROJECTS.where(project.c.organization_id == caller.organization_id)
        if name:
            if not name.isprintable():
                raise tenancy.missing("project")
            query = query.where(or_(project.c.id == name, project.c.name == name))
        query = query.order_by((project.c.id == name).desc(), project.c.created_at, project.c.id).limit(1)
        try:
            async with asyncio.timeout(LOOKUP_SECONDS), self._database.connect() as connection:
                row = (await connection.execute(query)).one_or_none()
        except TimeoutError:
            raise Unavailable("The project could not be found in time.", retry_after=1) from None
        if row is None:
            raise tenancy.missing("project")
        if row.suspended_at is not None:
            raise Suspended
        return msgspec.structs.replace(
            caller,
            project_id=row.id,
            project=row.name,
            tenant=tokens.tenant(self._pepper, caller.organization_id),
            policy=_policy(row),
            erased_at=_erased_at(row),
        )

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
        # In the order of ids, so that processes that write at once never wait for each other in a circle.
        rows = [{"key_id": key, "used_at": at} for key, at in sorted(used.items())]
        async with self._database.begin() as connection:
            await connection.execute(change, rows)

    async def _find(self, digest: bytes) -> _Known | None:
        async with self._database.connect() as connection:
            row = (await connection.execute(_SECRETS, {"shown": digest})).one_or_none()
        if row is None:
            return None
        ends = (row.expires_at, row.secret_expires_at)
        expires_at = min(math.inf if end is None else end for end in ends)
        suspended = row.suspended_at is not None
        return _Known(_caller(row, self._pepper), row.digest, expires_at, suspended)


# A project's own policy holds for it; without one, its organization's does.
_own, _common = data_retention.alias("own"), data_retention.alias("common")
# What was erased of either is gone.
_erased, _erased_with = content_erasure.alias("erased"), content_erasure.alias("erased_with")
_ERASED_AT = (_erased.c.erased_at, _erased_with.c.erased_at.label("erased_with_at"))

_SECRETS = (
    select(
        api_key_secret.c.digest,
        api_key_secret.c.expires_at.label("secret_expires_at"),
        api_key.c.id,
        api_key.c.kind,
        api_key.c.expires_at,
        api_key.c.organization_id,
        api_key.c.project_id,
        api_key.c.member_id,
        api_key.c.role,
        api_key.c.scopes,
        organization.c.name.label("organization"),
        project.c.name.label("project"),
        member.c.role.label("member_role"),
        member_sign_in.c.operator,
        func.coalesce(_own.c.days, _common.c.days).label("kept_days"),
        func.coalesce(_own.c.stores, _common.c.stores).label("stores"),
        *_ERASED_AT,
        organization_standing.c.suspended_at,
    )
    .select_from(api_key_secret)
    .join(api_key, api_key_secret.c.key_id == api_key.c.id)
    .outerjoin(organization, api_key.c.organization_id == organization.c.id)
    .outerjoin(project, api_key.c.project_id == project.c.id)
    .outerjoin(organization_standing, organization_standing.c.organization_id == api_key.c.organization_id)
    .outerjoin(member, api_key.c.member_id == member.c.id)
    .outerjoin(member_sign_in, api_key.c.member_id == member_sign_in.c.member_id)
    .outerjoin(_own, api_key.c.project_id == _own.c.scope)
    .outerjoin(_common, api_key.c.organization_id == _common.c.scope)
    .outerjoin(_erased, api_key.c.project_id == _erased.c.scope)
    .outerjoin(_erased_with, api_key.c.organization_id == _erased_with.c.scope)
    .where(
        api_key_secret.c.digest == bindparam("shown"),
        api_key.c.revoked_at.is_(None),
        project.c.archived_at.is_(None),
    )
)


_PROJECTS = (
    select(
        project.c.id,
        project.c.name,
        func.coalesce(_own.c.days, _common.c.days).label("kept_days"),
        func.coalesce(_own.c.stores, _common.c.stores).label("stores"),
        *_ERASED_AT,
        organization_standing.c.suspended_at,
    )
    .outerjoin(organization_standing, organization_standing.c.organization_id == project.c.organization_id)
    .outerjoin(_own, project.c.id == _own.c.scope)
    .outerjoin(_common, project.c.organization_id == _common.c.scope)
    .outerjoin(_erased, project.c.id == _erased.c.scope)
    .outerjoin(_erased_with, project.c.organization_id == _erased_with.c.scope)
    .where(project.c.archived_at.is_(None))
)


def _policy(row: Any) -> Policy:
    return Policy() if row.kept_days is None else Policy(days=row.kept_days, stores=row.stores)


def _erased_at(row: Any) -> int:
    return max(row.erased_at or 0, row.erased_with_at or 0)


def _caller(row: Any, pepper: bytes) -> Caller:
    role: Role = row.role or "reader"
    return Caller(
        key_id=row.id,
        kind=row.kind,
        organization_id=row.organization_id or "",
        organization=row.organization or "",
        tenant=tokens.tenant(pepper, row.organization_id) if row.organization_id else "",
        project_id=row.project_id or "",
        project=row.project or "",
        # An owner's key does not outlast the owner's role.
        role=narrower(role, row.member_role) if row.member_role else role,
        scopes=frozenset(row.scopes.split()),
        operator=row.kind == "session" and bool(row.operator),
        member_id=row.member_id,
        policy=_policy(row),
        erased_at=_erased_at(row),
    )


def _refusal(token: str) -> Unauthenticated:
    return Unauthenticated(
        f"Incorrect API key provided: {tokens.redacted(token)}. "
        "You can make a new API key with `antiphon keys create`."
    )
