"""API keys of projects, and admin keys. A key's `value` is answered once, when it is made or rotated."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.values import Role
from antiphon.wire.admin.lists import LONGEST_SECONDS, ListPage, ListQuery, Name, Seconds

RotationId = Annotated[str, Meta(min_length=1, max_length=255)]


class ServiceAccountOwner(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    role: str
    created_at: int


class UserOwner(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    email: str | None
    role: str
    created_at: int


class ProjectKeyOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key it is; all null for one that the operator made."""

    type: Literal["user", "service_account"] | None = None
    user: UserOwner | None = None
    service_account: ServiceAccountOwner | None = None


class ProjectApiKeyListQuery(ListQuery, frozen=True, kw_only=True):
    owner_project_access: Literal["active", "inactive", "any"] = "any"


class ProjectApiKeyUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; no `scopes` at all are all of them. `name` is ours."""

    name: Name | None = None
    scopes: list[str] | None = None
    expires_in_seconds: Seconds | None = None


class ProjectApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """`scopes` is ours: what the key may be used for."""

    id: str
    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    name: str
    redacted_value: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    owner: ProjectKeyOwner
    owner_project_access: Literal["active", "inactive"]
    scopes: list[str]


class ProjectApiKeyList(ListPage, frozen=True, kw_only=True):
    data: list[ProjectApiKey]


class AdminApiKeyListQuery(ListQuery, frozen=True, kw_only=True):
    order: Literal["asc", "desc"] = "asc"


class AdminApiKeyCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`role` is ours: what the key may do, as a member of that role might."""

    name: Name
    expires_in_seconds: Seconds | None = None
    role: Role = "owner"


class AdminKeyOwner(msgspec.Struct, frozen=True, kw_only=True):
    """The member whose key it is; all null for one that the operator made."""

    type: Literal["user"] | None = None
    object: Literal["organization.user"] | None = None
    id: str | None = None
    name: str | None = None
    role: str | None = None
    created_at: int | None = None


class AdminApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """`role` is ours. A key can do no more than its owner, whatever its own role is."""

    id: str
    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    name: str
    redacted_value: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    owner: AdminKeyOwner
    role: Role


class AdminApiKeyWithValue(AdminApiKey, frozen=True, kw_only=True):
    value: str


class AdminApiKeyList(ListPage, frozen=True, kw_only=True):
    data: list[AdminApiKey]


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ours. The same `rotation_id` (or `Idempotency-Key` header) again gives the same value, and no new one.

    What the key was until now counts `grace_seconds` longer.
    """

    grace_seconds: Annotated[int, Meta(ge=0, le=LONGEST_SECONDS)] = 86_400
    rotation_id: RotationId | None = None


class RotatedProjectApiKey(ProjectApiKey, frozen=True, kw_only=True):
    value: str


class ProjectApiKeyDeleted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.project.api_key.deleted"] = "organization.project.api_key.deleted"
    deleted: Literal[True] = True


class AdminApiKeyDeleted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.admin_api_key.deleted"] = "organization.admin_api_key.deleted"
    deleted: Literal[True] = True
