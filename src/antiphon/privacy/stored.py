"""Completions that requests asked to `store`: what is kept of each, and who keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from antiphon.values import Observation


class StoredCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `asked` and `answered` as in `values.Observation`."""

    id: str
    """That of the answer: `chatcmpl-…`."""
    request_id: str
    created: int
    """Unix seconds, as the answer says."""
    model: str
    """The snapshot that answered."""
    asked_model: str
    """The name that the request had for it; empty where its path named it."""
    metadata: Mapping[str, str]
    asked: bytes
    answered: bytes


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Which are listed: those of a model, by either of its names; those with all of this metadata."""

    model: str | None = None
    metadata: Mapping[str, str] = {}
    order: Literal["asc", "desc"] = "asc"
    """By `created` and, where that is the same, by `id`."""


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


class _Asked(msgspec.Struct, frozen=True):
    """What of a chat request says whether its completion is to be stored."""

    store: bool | None = None
    metadata: dict[str, str] | None = None
    model: str = ""


class _Answered(msgspec.Struct, frozen=True):
    id: str
    created: int


def to_store(seen: Observation) -> StoredCompletion | None:
    """What is to be kept of a request that was observed.

    None if it did not ask for that, may not (`Policy.stores`), or had no whole answer.
    """
    if seen.kind != "chat" or not seen.whole or not seen.caller.policy.stores:
        return None
    asked = msgspec.json.decode(seen.asked, type=_Asked)
    if not asked.store:
        return None
    answered = msgspec.json.decode(seen.answered, type=_Answered)
    return StoredCompletion(
        id=answered.id,
        request_id=seen.request_id,
        created=answered.created,
        model=seen.snapshot,
        asked_model=asked.model,
        metadata=asked.metadata or {},
        asked=seen.asked,
        answered=seen.answered,
    )
