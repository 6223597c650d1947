"""The shapes of stored completions. No logic."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from antiphon.wire.admin.lists import Limit, ListPage
from antiphon.wire.chat import CalledFunction, ChatCompletion, Metadata

Order = Literal["asc", "desc"]


class StoredCompletionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which are listed: of a model, by the name that was asked for or by the snapshot's; with all of this
    `metadata`, sent as `metadata[key]=value`."""

    after: str | None = None
    limit: Limit = 20
    order: Order = "asc"
    model: str | None = None
    metadata: Metadata = {}


class StoredMessageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: str | None = None
    limit: Limit = 20
    order: Order = "asc"


class StoredCompletionUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All metadata is replaced; null leaves none."""

    metadata: Metadata | None


class AskedCompletion(msgspec.Struct, frozen=True):
    """What is shown of a request that was kept. Read by no other rules: it was checked when it came."""

    messages: list[dict[str, Any]] = []
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    user: str | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    response_format: Any = None


class StoredChatCompletion(ChatCompletion, frozen=True, kw_only=True):
    """A completion as it was answered, and what was asked for; null where nothing was said of it."""

    request_id: str
    metadata: dict[str, str]
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    seed: int | None
    input_user: str | None
    tools: list[Any] | None
    tool_choice: Any
    response_format: Any


class StoredCompletionList(ListPage, frozen=True, kw_only=True):
    data: list[StoredChatCompletion]


class StoredCompletionDeleted(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    id: str
    deleted: Literal[True] = True


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was sent. One of parts has them in `content_parts`, and no `content`."""

    id: str
    role: str
    content: str | None
    name: str | None = None
    content_parts: list[Any] | None = None
    refusal: str | None | UnsetType = UNSET
    tool_calls: list[Any] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET


class StoredMessageList(ListPage, frozen=True, kw_only=True):
    data: list[StoredMessage]
