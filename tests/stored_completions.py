"""Stored completions in memory: kept while they are observed, gone with the test."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from antiphon.errors import InvalidRequest, NotFound
from antiphon.privacy.stored import Page, StoredCompletion, Which
from antiphon.values import Caller, Observation


class Asked(msgspec.Struct, frozen=True):
    store: bool | None = None
    metadata: dict[str, str] | None = None
    model: str = ""


class Answered(msgspec.Struct, frozen=True):
    id: str
    created: int
    model: str


class InMemory:
    """As `antiphon.privacy.stored.StoredCompletions`, and as an observer that fills it."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, str, StoredCompletion]] = {}
        self.observed = 0

    def wants(self, caller: Caller) -> bool:
        return True

    def observe(self, seen: Observation) -> None:
        self.observed += 1
        asked = msgspec.json.decode(seen.asked, type=Asked)
        if seen.kind != "chat" or not (seen.whole and asked.store and seen.caller.policy.stores):
            return
        found = StoredCompletion(
            id=msgspec.json.decode(seen.answered, type=Answered).id,
            request_id=seen.request_id,
            metadata=asked.metadata or {},
            asked=seen.asked,
            answered=seen.answered,
        )
        self.kept[found.id] = (seen.caller.organization_id, seen.caller.project_id, found)

    async def list(
        self, organization_id: str, project_id: str, which: Which, *, after: str | None, limit: int
    ) -> Page:
        found = [
            one
            for *whose, one in self.kept.values()
            if whose == [organization_id, project_id]
            and which.model in (None, answered(one).model, msgspec.json.decode(one.asked, type=Asked).model)
            and which.metadata.items() <= one.metadata.items()
        ]
        found.sort(key=lambda one: (answered(one).created, one.id), reverse=which.order == "desc")
        begin = 0
        if after is not None:
            if after not in (ids := [one.id for one in found]):
                raise InvalidRequest("'after' is not the id of an entry of this list.", param="after")
            begin = ids.index(after) + 1
        shown = found[begin : begin + limit]
        return Page(shown, len(found) > begin + limit, shown[-1].id if shown else after)

    async def get(self, organization_id: str, project_id: str, id: str) -> StoredCompletion:
        found = self.kept.get(id)
        if found is None or found[:2] != (organization_id, project_id):
            raise NotFound("There is no such stored completion.")
        return found[2]

    async def update_metadata(
        self, organization_id: str, project_id: str, id: str, metadata: Mapping[str, str]
    ) -> StoredCompletion:
        changed = msgspec.structs.replace(await self.get(organization_id, project_id, id), metadata=metadata)
        self.kept[id] = (organization_id, project_id, changed)
        return changed

    async def delete(self, organization_id: str, project_id: str, id: str) -> None:
        await self.get(organization_id, project_id, id)
        del self.kept[id]


def answered(stored: StoredCompletion) -> Answered:
    return msgspec.json.decode(stored.answered, type=Answered)


def completion(id: str, content: str = "Hello") -> StoredCompletion:
    """A stored completion without anything special."""
    asked = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": content}], "store": True}
    answer = {
        "id": id,
        "object": "chat.completion",
        "created": 1,
        "model": "chat-1",
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        "system_fingerprint": "fp_1",
    }
    return StoredCompletion(
        id=id,
        request_id="req_1",
        metadata={},
        asked=msgspec.json.encode(asked),
        answered=msgspec.json.encode(answer),
    )
