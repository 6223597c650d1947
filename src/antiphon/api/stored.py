"""`/v1/chat/completions`, those that were stored: list, show, change their metadata, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from antiphon.api import body, query
from antiphon.api.admin.answers import list_page
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.errors import InvalidRequest
from antiphon.privacy.stored import Page, StoredCompletion, StoredCompletions, Which
from antiphon.wire.chat import ChatCompletion
from antiphon.wire.stored import (
    AskedCompletion,
    StoredChatCompletion,
    StoredCompletionDeleted,
    StoredCompletionList,
    StoredCompletionQuery,
    StoredCompletionUpdate,
    StoredMessage,
    StoredMessageList,
    StoredMessageQuery,
)

_ALL = "/v1/chat/completions"
_ONE = _ALL + "/{completion_id}"
_BODY_BYTES = 65_536


class StoredApi:
    """A project's keys see the completions of that project alone."""

    def __init__(self, stored: StoredCompletions) -> None:
        self._stored = stored

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_ALL,
                needs="chat",
                handler=self.list_chat_completions,
                summary="List the completions of the project that were to be stored.",
                query=StoredCompletionQuery,
                answers=(Answer(JSON, StoredCompletionList),),
            ),
            Route(
                method="GET",
                path=_ONE,
                needs="chat",
                handler=self.retrieve_chat_completion,
                summary="Show one stored completion.",
                answers=(Answer(JSON, StoredChatCompletion),),
            ),
            Route(
                method="POST",
                path=_ONE,
                needs="chat",
                handler=self.update_chat_completion,
                summary="Replace the metadata of a stored completion.",
                body=StoredCompletionUpdate,
                answers=(Answer(JSON, StoredChatCompletion),),
            ),
            Route(
                method="DELETE",
                path=_ONE,
                needs="chat",
                handler=self.delete_chat_completion,
                summary="Delete a stored completion; backups hold it, encrypted, until its day.",
                answers=(Answer(JSON, StoredCompletionDeleted),),
            ),
            Route(
                method="GET",
                path=_ONE + "/messages",
                needs="chat",
                handler=self.list_chat_completion_messages,
                summary="List the messages that a stored completion was the answer to.",
                query=StoredMessageQuery,
                answers=(Answer(JSON, StoredMessageList),),
            ),
        ]

    async def list_chat_completions(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, StoredCompletionQuery)
        which = Which(model=wanted.model, metadata=wanted.metadata, order=wanted.order)
        page = await self._stored.list(*_whose(exchange), which, after=wanted.after, limit=wanted.limit)
        await _answer(exchange, lambda: _list(page))

    async def retrieve_chat_completion(self, exchange: Exchange) -> None:
        found = await self._named(exchange)
        await _answer(exchange, lambda: _shown(found))

    async def update_chat_completion(self, exchange: Exchange) -> None:
        wanted = await body.read(exchange, StoredCompletionUpdate, _BODY_BYTES)
        id = exchange.parameters["completion_id"]
        changed = await self._stored.update_metadata(*_whose(exchange), id, wanted.metadata or {})
        await _answer(exchange, lambda: _shown(changed))

    async def delete_chat_completion(self, exchange: Exchange) -> None:
        id = exchange.parameters["completion_id"]
        await self._stored.delete(*_whose(exchange), id)
        await exchange.answer_json(StoredCompletionDeleted(id=id))

    async def list_chat_completion_messages(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, StoredMessageQuery)
        found = await self._named(exchange)
        await _answer(exchange, lambda: _page(_messages(found), wanted))

    async def _named(self, exchange: Exchange) -> StoredCompletion:
        return await self._stored.get(*_whose(exchange), exchange.parameters["completion_id"])


async def _answer(exchange: Exchange, shape: Callable[[], msgspec.Struct]) -> None:
    """Answer with what this makes; of long requests that takes a while, so it is made off the loop."""
    await exchange.answer(await asyncio.to_thread(lambda: msgspec.json.encode(shape())))


def _whose(exchange: Exchange) -> tuple[str, str]:
    caller = exchange.known_caller
    return caller.organization_id, caller.project_id


def _shown(stored: StoredCompletion) -> StoredChatCompletion:
    """An answer, and what of the request OpenAI shows beside it, with the defaults that held for it."""
    asked = msgspec.json.decode(stored.asked, type=AskedCompletion)
    answer = msgspec.json.decode(stored.answered, type=ChatCompletion)
    return StoredChatCompletion(
        **msgspec.structs.asdict(answer),
        request_id=stored.request_id,
        metadata=dict(stored.metadata),
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        presence_penalty=asked.presence_penalty or 0.0,
        frequency_penalty=asked.frequency_penalty or 0.0,
        seed=asked.seed,
        input_user=asked.user,
        tools=asked.tools,
        tool_choice=asked.tool_choice,
        response_format=asked.response_format,
    )


def _list(page: Page) -> StoredCompletionList:
    shown = list_page(StoredCompletionList, [_shown(one) for one in page.found], page.more)
    # Where more is to be looked through, that goes on behind the last one that was, which may not be shown.
    return msgspec.structs.replace(shown, last_id=page.last) if page.more else shown


def _messages(stored: StoredCompletion) -> list[StoredMessage]:
    asked = msgspec.json.decode(stored.asked, type=AskedCompletion)
    return [_message(f"{stored.id}-{index}", sent) for index, sent in enumerate(asked.messages)]


def _message(id: str, sent: Mapping[str, Any]) -> StoredMessage:
    content = sent.get("content")
    in_parts = isinstance(content, list)
    return StoredMessage(
        id=id,
        role=sent["role"],
        content=None if in_parts else content,
        name=sent.get("name"),
        content_parts=content if in_parts else None,
        refusal=sent.get("refusal", UNSET),
        tool_calls=sent.get("tool_calls") or UNSET,
        function_call=sent.get("function_call") or UNSET,
        tool_call_id=sent.get("tool_call_id") or UNSET,
    )


def _page(messages: list[StoredMessage], wanted: StoredMessageQuery) -> StoredMessageList:
    if wanted.order == "desc":
        messages.reverse()
    begin = 0
    if wanted.after is not None:
        ids = [message.id for message in messages]
        if wanted.after not in ids:
            raise InvalidRequest("'after' is not the id of an entry of this list.", param="after")
        begin = ids.index(wanted.after) + 1
    end = begin + wanted.limit
    return list_page(StoredMessageList, messages[begin:end], len(messages) > end)
