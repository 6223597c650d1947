"""Rate limits of a project, and budgets of an organization or a project."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.lists import Limit, ListPage

Count = Annotated[int, Meta(ge=0, le=10**12)]


class RateLimitListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: str | None = None
    before: str | None = None
    limit: Limit = 100


class RateLimitUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is; null goes back to the installation's setting, 0 sets no limit."""

    max_requests_per_1_minute: Count | None | msgspec.UnsetType = msgspec.UNSET
    max_tokens_per_1_minute: Count | None | msgspec.UnsetType = msgspec.UNSET
    max_audio_megabytes_per_1_minute: Count | None | msgspec.UnsetType = msgspec.UNSET
    max_audio_seconds_per_1_minute: Count | None | msgspec.UnsetType = msgspec.UNSET
    max_requests_per_1_day: Count | None | msgspec.UnsetType = msgspec.UNSET
    max_tokens_per_1_day: Count | None | msgspec.UnsetType = msgspec.UNSET
    max_concurrent_requests: Count | None | msgspec.UnsetType = msgspec.UNSET


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a project may do with a snapshot, in force now; 0 is no limit.

    `max_audio_seconds_per_1_minute`, `max_tokens_per_1_day` and `max_concurrent_requests` are ours.
    """

    id: str
    object: Literal["project.rate_limit"] = "project.rate_limit"
    model: str
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int
    max_audio_megabytes_per_1_minute: int
    max_audio_seconds_per_1_minute: int
    max_requests_per_1_day: int
    max_tokens_per_1_day: int
    max_concurrent_requests: int


class RateLimitList(ListPage, frozen=True, kw_only=True):
    data: list[RateLimit]


class SpendLimitUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`threshold_amount` in cents."""

    threshold_amount: Annotated[int, Meta(ge=0, le=10**10)]
    currency: Literal["USD"]
    interval: Literal["month"]


class Enforcement(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is set is enforced: no request is begun that could pass it."""

    status: Literal["enforcing"] = "enforcing"


class SpendLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A budget: what may be spent in a month; `threshold_amount` in cents."""

    object: Literal["organization.spend_limit", "project.spend_limit"]
    threshold_amount: int
    currency: Literal["USD"] = "USD"
    interval: Literal["month"] = "month"
    enforcement: Enforcement = Enforcement()


class SpendLimitDeleted(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["organization.spend_limit.deleted", "project.spend_limit.deleted"]
    deleted: Literal[True] = True
