"""Completions that requests asked to `store`: what is kept of each, and what is asked of whoever keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class Page(msgspec.Struct, frozen=True):
    """A part of a list. `last` is the id from which it goes on where there are `more`."""

    found: Sequence[StoredCompletion]
    more: bool
    last: str | None


class StoredCompletions(Protocol):
    """The completions that are kept of each project. `organization_id` and `project_id` name whose are meant.

    `NotFound` is raised for one that is not there, is not kept any more, or is another project's, in the
    same words.
    """

    async def list(
        self, organization_id: str, project_id: str, which: Which, *, after: str | None, limit: int
    ) -> Page:
        """So many of them at most, after the one of the id `after`.

        They may be fewer, or none, though there are more: what is looked through at once is bounded.
        Raises `InvalidRequest`, naming `after`, for one that is not there.
        """

    async def get(self, organization_id: str, project_id: str, id: str) -> StoredCompletion: ...

    async def update_metadata(
        self, organization_id: str, project_id: str, id: str, metadata: Mapping[str, str]
    ) -> StoredCompletion:
        """With all of its metadata replaced."""

    async def delete(self, organization_id: str, project_id: str, id: str) -> None:
        """Nothing of it is read any more, and none of it is left in the database's files once it was purged.

        Copies from before, in backups, are encrypted, and can be read with the keys until the day on which it
        was to expire."""
