"""Members of an organization, which the API calls users."""

from __future__ import annotations

from typing import Literal

import msgspec

from antiphon.values import Role
from antiphon.wire.admin.lists import ListPage, ListQuery


class UserListQuery(ListQuery, frozen=True, kw_only=True):
    emails: list[str] = []


class UserUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Role


class UserAccount(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["user"] = "user"
    email: str
    name: str
    enabled: bool = True


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.user"] = "organization.user"
    email: str
    name: str
    role: Role
    added_at: int
    created: int
    is_service_account: bool = False
    user: UserAccount


class UserList(ListPage, frozen=True, kw_only=True):
    data: list[User]


class UserDeleted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.user.deleted"] = "organization.user.deleted"
    deleted: Literal[True] = True
