"""Flags, thresholds and how organizations stand. All of this is ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.lists import ListPage, ListQuery

Words = Annotated[str, Meta(min_length=1, max_length=4000)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Action = Literal["note", "alert", "throttle", "suspend"]
Score = Annotated[float, Meta(gt=0, le=1)]


class FlagQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which flags, the newest first."""

    status: Literal["open", "appealed", "resolved"] | None = None
    category: Annotated[str, Meta(max_length=60)] | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A share from 0 to 1; `side` says whether it was sent or answered, or is about how a key is used."""

    side: str
    category: str
    score: float
    scorer: str


class Appeal(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    created_at: int | None


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    outcome: Literal["upheld", "dismissed"]
    answer: str | None
    resolved_at: int


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, where, and what followed. Never content: that is in the evidence, while it is kept."""

    id: str
    object: Literal["organization.flag"] = "organization.flag"
    organization_id: str
    project_id: str | None
    key_id: str | None
    request_id: str | None
    model: str
    category: str
    score: float
    action: Action
    detail: str
    findings: list[Finding]
    status: Literal["open", "appealed", "resolved"]
    created_at: int
    appeal: Appeal | None
    resolution: Resolution | None


class FlagList(ListPage, frozen=True, kw_only=True):
    data: list[Flag]


class FlagEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is null where the content was never kept, or its time is over."""

    id: str
    object: Literal["organization.flag.evidence"] = "organization.flag.evidence"
    text: str | None


class FlagAppeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Words


class FlagResolve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`dismissed` takes back what was done because of the flag. An appeal needs an answer."""

    outcome: Literal["upheld", "dismissed"]
    answer: Words | None = None


class ThresholdSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From this score on, for the `times`-th time in a day; a null score is never."""

    category: Annotated[str, Meta(max_length=60)]
    action: Action
    score: Score | None
    times: Annotated[int, Meta(ge=1, le=1000)] = 1


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    category: str
    action: Action
    score: float
    times: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization may not do now, and from which scores on something follows."""

    id: str
    object: Literal["organization.moderation"] = "organization.moderation"
    suspended_at: int | None
    reason: str
    flag_id: str | None
    throttled_until: int | None
    thresholds: list[Threshold]


class OrganizationSuspend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason
