"""Dedicated instances: capacity that serves one organization alone, paid by time. All of this is ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.lists import ListPage, Name, Time
from antiphon.wire.admin.operator import Dollars

Tokens = Annotated[int, Meta(ge=1, le=10**8)]
Load = Annotated[int, Meta(ge=1, le=256)]
Replicas = Annotated[int, Meta(ge=1, le=64)]
Model = Annotated[str, Meta(min_length=1, max_length=200)]


class DedicatedInstanceCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`model`: a snapshot, or an alias for the one that it means now, to which the instance stays pinned.

    `load`: requests that each replica serves together. It begins now, and goes on until it is deleted, unless
    `starts_at` and `ends_at` (unix seconds) say otherwise. With `spill_over`, requests that it has no place
    for go to the shared service, at its prices.
    """

    model: Model
    name: Name | None = None
    context_length: Tokens | None = None
    load: Load | None = None
    replicas: Replicas = 1
    starts_at: Time | None = None
    ends_at: Time | None = None
    spill_over: bool = False


class DedicatedInstanceUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; with null for `ends_at` it goes on until it is deleted."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    context_length: Tokens | msgspec.UnsetType = msgspec.UNSET
    load: Load | msgspec.UnsetType = msgspec.UNSET
    replicas: Replicas | msgspec.UnsetType = msgspec.UNSET
    ends_at: Time | None | msgspec.UnsetType = msgspec.UNSET
    spill_over: bool | msgspec.UnsetType = msgspec.UNSET


class InstanceCost(msgspec.Struct, frozen=True, kw_only=True):
    """What it has cost so far, hour by hour, and what of that was given back for outages."""

    charged: Dollars
    credited: Dollars


class DedicatedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """`price_per_hour` is for each replica; `ready_replicas` serve now."""

    id: str
    object: Literal["organization.dedicated_instance"] = "organization.dedicated_instance"
    name: str
    model: str
    context_length: int
    load: int
    replicas: int
    ready_replicas: int
    spill_over: bool
    status: Literal["scheduled", "running", "ended"]
    starts_at: int
    ends_at: int | None
    created_at: int
    price_per_hour: Dollars
    cost: InstanceCost


class DedicatedInstanceList(ListPage, frozen=True, kw_only=True):
    data: list[DedicatedInstance]


class DedicatedInstanceDeleted(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["organization.dedicated_instance.deleted"] = "organization.dedicated_instance.deleted"
    id: str
    deleted: Literal[True] = True


class CalendarQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `start_time` (now, by default) until `end_time` (a year later), in unix seconds."""

    model: Model
    start_time: Time | None = None
    end_time: Time | None = None


class CalendarSpan(msgspec.Struct, frozen=True, kw_only=True):
    """So many replicas there is room for, from `starts_at` until before `ends_at`."""

    starts_at: int
    ends_at: int | None
    replicas: int


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["organization.dedicated_instance.calendar"] = "organization.dedicated_instance.calendar"
    model: str
    data: list[CalendarSpan]
