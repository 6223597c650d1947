"""The audit log of an organization."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from antiphon.wire.admin.lists import Limit, ListPage, Time


class AuditLogQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events, the newest first. Times are unix seconds."""

    after: str | None = None
    before: str | None = None
    limit: Limit = 20
    event_types: list[str] = []
    project_ids: list[str] = []
    actor_ids: list[str] = []
    actor_emails: list[str] = []
    gt: Time | None = msgspec.field(default=None, name="effective_at[gt]")
    gte: Time | None = msgspec.field(default=None, name="effective_at[gte]")
    lt: Time | None = msgspec.field(default=None, name="effective_at[lt]")
    lte: Time | None = msgspec.field(default=None, name="effective_at[lte]")


class ActorUser(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    email: str | None


class ActorKey(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is null for a key that the operator made, never a service account's."""

    id: str
    type: Literal["user"] | None
    user: ActorUser | None


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["api_key"] = "api_key"
    api_key: ActorKey


class EventProject(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str | None


class AuditLog(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its payload. `actor` is null for the operator at the command line."""

    id: str
    type: str
    effective_at: int
    project: EventProject | None
    actor: Actor | None


class AuditLogList(ListPage, frozen=True, kw_only=True):
    """Each entry is an `AuditLog` that holds its payload besides, under a key named as its `type`."""

    data: list[dict[str, Any]]
