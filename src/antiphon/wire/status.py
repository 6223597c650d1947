"""The shapes of `/status.json` and of the operator's routes for incidents. All of this is ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.lists import ListPage, Time

State = Literal["operational", "degraded", "outage", "maintenance", "idle", "no_data"]


class StatusDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day of UTC. `uptime` in percent, null where nothing is known; `down_minutes`: without any server."""

    date: str
    uptime: float | None
    lost_minutes: float
    down_minutes: int
    requests: int


class StatusProbe(msgspec.Struct, frozen=True, kw_only=True):
    """The last probe. `reason` says why it was not good."""

    at: int
    good: bool
    milliseconds: int
    reason: str


class StatusBudget(msgspec.Struct, frozen=True, kw_only=True):
    """What 30 days may lose at the objective: minutes, those lost, and the percentage that is left."""

    minutes: float
    lost_minutes: float
    left: float


class StatusApi(msgspec.Struct, frozen=True, kw_only=True):
    """One API. `uptime` in percent over 24 hours, 7, 30 and 90 days, null where nothing is known."""

    name: str
    state: State
    since: int | None
    uptime: dict[str, float | None]
    budget: StatusBudget | None
    burn_rates: dict[str, float]
    alert: str | None
    probe: StatusProbe | None
    days: list[StatusDay]


class IncidentNote(msgspec.Struct, frozen=True, kw_only=True):
    at: int
    event: Literal["opened", "noted", "escalated", "resolved"]
    text: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """`api` is null for all of them; `ends_at` is maintenance's alone."""

    id: str
    object: Literal["status.incident"] = "status.incident"
    kind: Literal["alert", "manual", "maintenance"]
    api: str | None
    severity: str | None
    title: str
    opened_at: int
    begins_at: int
    ends_at: int | None
    resolved_at: int | None
    notes: list[IncidentNote]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the installation's; `objective` in percent; times are unix seconds.

    `watched_at` is when alerts were last looked at.
    """

    id: str
    object: Literal["status"] = "status"
    at: int
    state: State
    objective: float
    watched_at: int | None
    apis: list[StatusApi]
    incidents: list[Incident]


class IncidentCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With `begins_at` and `ends_at` it is maintenance, which does not count as downtime."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    text: Annotated[str, Meta(min_length=1, max_length=2000)]
    api: Literal["chat", "speech", "embeddings", "moderation", "administration"] | None = None
    begins_at: Time | None = None
    ends_at: Time | None = None


class IncidentText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class IncidentList(ListPage, frozen=True, kw_only=True):
    data: list[Incident]
