"""For how long the content of an organization's or a project's requests is kept."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

RetentionType = Literal[
    "none",
    "zero_data_retention",
    "modified_abuse_monitoring",
    "enhanced_zero_data_retention",
    "enhanced_modified_abuse_monitoring",
]
"""What content is kept under, as OpenAI names it; `none` of its controls leaves it to the days."""
ProjectRetentionType = Literal["organization_default", RetentionType]
Days = Annotated[int, Meta(ge=1, le=30)]


class DataRetentionUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`days` is ours, and goes with `none` alone: content is kept for so many, 30 if none are named."""

    retention_type: RetentionType
    days: Days | None = None


class ProjectDataRetentionUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for a project, which may follow its organization: `organization_default`."""

    retention_type: ProjectRetentionType
    days: Days | None = None


class OrganizationDataRetention(msgspec.Struct, frozen=True, kw_only=True):
    """`days`, which is ours: for how many content is kept; 0: it is never written."""

    object: Literal["organization.data_retention"] = "organization.data_retention"
    type: RetentionType
    days: int


class ProjectDataRetention(msgspec.Struct, frozen=True, kw_only=True):
    """The same for a project. Where it follows its organization, `days` are those of the organization."""

    object: Literal["project.data_retention"] = "project.data_retention"
    type: ProjectRetentionType
    days: int
