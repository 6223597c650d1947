"""A key as it is asked for and as it may be shown, what it opens, and how it is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, Select, select

from antiphon.access.permissions import SCOPES
from antiphon.storage.tables import api_key, member, project, service_account
from antiphon.values import KeyKind, Role

State = Literal["active", "expired", "revoked"]


class Realm(msgspec.Struct, frozen=True):
    """What a key opens: a project, an organization's administration, or with neither the installation."""

    organization_id: str | None = None
    project_id: str | None = None

    @property
    def kind(self) -> KeyKind:
        if self.project_id is not None:
            return "project"
        return "operator" if self.organization_id is None else "admin"


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is asked for. It belongs to a member or a service account of the realm, or to nobody.

    `scopes` count for a project key and `role` for an admin key. Without `expires_in_seconds` it never ends.
    """

    realm: Realm
    name: str
    scopes: Collection[str] = SCOPES
    role: Role = "owner"
    member_id: str | None = None
    service_account_id: str | None = None
    expires_in_seconds: int | None = None


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who a key belongs to. A service account has no address."""

    type: Literal["user", "service_account"]
    id: str
    name: str
    email: str | None
    role: str
    created_at: int


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown. Times are unix seconds.

    `project` is the project's name. `role` is an admin key's alone, `scopes` are a project key's. Keys that
    the operator made for nobody in particular have no owner.
    """

    id: str
    kind: KeyKind
    organization_id: str | None
    project_id: str | None
    project: str | None
    name: str
    redacted: str
    scopes: tuple[str, ...]
    role: Role | None
    owner: Owner | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    @property
    def realm(self) -> Realm:
        return Realm(self.organization_id, self.project_id)

    def state(self, now: float) -> State:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


_OWN = [api_key.c[name] for name in ApiKey.__struct_fields__ if name not in ("project", "owner", "scopes")]


def keys_of(realm: Realm | None) -> Select[Any]:
    """The keys of a realm, revoked ones too; of the whole installation without one."""
    query = (
        select(
            *_OWN,
            api_key.c.scopes,
            project.c.name.label("project"),
            member.c.id.label("member_id"),
            member.c.name.label("member_name"),
            member.c.email,
            member.c.role.label("member_role"),
            member.c.added_at,
            service_account.c.id.label("account_id"),
            service_account.c.name.label("account_name"),
            service_account.c.role.label("account_role"),
            service_account.c.created_at.label("account_created_at"),
        )
        .select_from(api_key)
        .outerjoin(project, api_key.c.project_id == project.c.id)
        .outerjoin(member, api_key.c.member_id == member.c.id)
        .outerjoin(service_account, api_key.c.service_account_id == service_account.c.id)
    )
    if realm is None:
        return query
    return query.where(
        api_key.c.kind == realm.kind,
        api_key.c.organization_id.is_not_distinct_from(realm.organization_id),
        api_key.c.project_id.is_not_distinct_from(realm.project_id),
    )


def shown(row: Row[Any]) -> ApiKey:
    """The key of a row of `keys_of`."""
    own = {column.name: row._mapping[column.name] for column in _OWN}
    return ApiKey(**own, project=row.project, scopes=tuple(row.scopes.split()), owner=_owner(row))


def _owner(row: Row[Any]) -> Owner | None:
    if row.member_id is not None:
        return Owner(
            type="user",
            id=row.member_id,
            name=row.member_name,
            email=row.email,
            role=row.member_role,
            created_at=row.added_at,
        )
    if row.account_id is not None:
        return Owner(
            type="service_account",
            id=row.account_id,
            name=row.account_name,
            email=None,
            role=row.account_role,
            created_at=row.account_created_at,
        )
    return None
