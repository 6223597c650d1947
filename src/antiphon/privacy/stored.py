"""Completions that requests asked to `store`: what is kept of each, and what is asked of whoever keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec


class StoredCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `asked` and `answered` as in `values.Observation`."""

    id: str
    """That of the answer: `chatcmpl-…`."""
    request_id: str
    metadata: Mapping[str, str]
    asked: bytes
    answered: bytes


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Which are listed: those of a model, by the name that was asked for or that of the snapshot which
    answered; those with all of this metadata."""

    model: str | None = None
    metadata: Mapping[str, str] = {}
    order: Literal["asc", "desc"] = "asc"
    """By when they were answered."""


class StoredCompletions(Protocol):
    """The completions that are kept of each project. `organization_id` and `project_id` name whose are meant.

    `NotFound` is raised for one that is not there, is not kept any more, or is another project's, in the
    same words.
    """

    async def list(
        self, organization_id: str, project_id: str, which: Which, *, after: str | None, limit: int
    ) -> tuple[list[StoredCompletion], bool]:
        """So many of them at most, after the one of the id `after`, and whether there are more.

        Large ones may come fewer at once, as long as there is one.
        Raises `InvalidRequest`, naming `after`, for one that is not there.
        """

    async def get(self, organization_id: str, project_id: str, id: str) -> StoredCompletion: ...

    async def update_metadata(
        self, organization_id: str, project_id: str, id: str, metadata: Mapping[str, str]
    ) -> StoredCompletion:
        """With all of its metadata replaced."""

    async def delete(self, organization_id: str, project_id: str, id: str) -> None:
        """For good: nothing of it is kept any more, in whatever copy."""
