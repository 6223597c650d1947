"""Projects."""

from __future__ import annotations

from typing import Literal

import msgspec

from antiphon.wire.admin.lists import ListPage, ListQuery, Name


class ProjectListQuery(ListQuery, frozen=True, kw_only=True):
    include_archived: bool = False


class ProjectCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name


class ProjectUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name


class Project(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.project"] = "organization.project"
    name: str
    created_at: int
    archived_at: int | None
    status: Literal["active", "archived"]


class ProjectList(ListPage, frozen=True, kw_only=True):
    data: list[Project]
