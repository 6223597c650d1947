"""Stored completions as the official client sees them, and who sees whose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from antiphon.errors import Unauthenticated
from antiphon.values import CallDelta, Caller, ChatJob, Delta, Policy, Usage
from service import CALLER, CHAT, KEY, ScriptedEngine, Service, serving
from stored_completions import InMemory

SAID = [{"role": "user", "content": "Say hello"}]
PATH = "/v1/chat/completions"


class Keys:
    """`KEY`, one of another project, and one of an organization with zero data retention."""

    async def authenticate(self, token: str) -> Caller:
        callers = {
            KEY: CALLER,
            "sk-other": msgspec.structs.replace(CALLER, project_id="proj_2"),
            "sk-zero": msgspec.structs.replace(CALLER, policy=Policy(days=0, stores=False)),
        }
        if token not in callers:
            raise Unauthenticated("Incorrect API key provided.")
        return callers[token]


class House:
    """A service, what it stored, and clients of it."""

    def __init__(self, service: Service, kept: InMemory) -> None:
        self.service, self.kept = service, kept

    def client(self, key: str = KEY) -> AsyncOpenAI:
        return AsyncOpenAI(api_key=key, base_url=f"http://127.0.0.1:{self.service.port}/v1", max_retries=0)

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str | None, str | None]:
        options = {} if body is None else {"json": body}
        status, _, answer = await self.service.call(method, path, **options)
        return status, answer["error"]["code"], answer["error"]["param"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    kept = InMemory()
    async with serving(tmp_path, authenticator=Keys(), observers=[kept], stored=kept) as service:
        yield House(service, kept)


async def test_the_official_client_finds_changes_and_deletes(house: House) -> None:
    async with house.client() as client:
        completions = client.chat.completions
        made = await completions.create(
            model="gpt-3.5-turbo",
            messages=[{"role": "user", "content": "Say hello"}],
            store=True,
            metadata={"case": "7"},
            temperature=0.5,
            user="u-1",
        )
        found = await completions.retrieve(made.id)
        assert found.choices == made.choices and found.usage == made.usage
        assert (found.id, found.created, found.model) == (made.id, made.created, CHAT)
        shown = found.to_dict()
        assert shown["metadata"] == {"case": "7"} and shown["temperature"] == 0.5
        assert shown["input_user"] == "u-1" and str(shown["request_id"]).startswith("req_")
        changed = await completions.update(made.id, metadata={"case": "8", "by": "ann"})
        assert changed.to_dict()["metadata"] == {"case": "8", "by": "ann"}
        assert [one.id async for one in completions.list(metadata={"case": "8"})] == [made.id]
        assert [one.id async for one in completions.list(metadata={"case": "7"})] == []
        [message] = [one async for one in completions.messages.list(made.id)]
        assert (message.id, message.role, message.content) == (f"{made.id}-0", "user", "Say hello")
        gone = await completions.delete(made.id)
        assert (gone.id, gone.deleted, gone.object) == (made.id, True, "chat.completion.deleted")
        for asked in (completions.retrieve(made.id), completions.delete(made.id)):
            with pytest.raises(NotFoundError):
                await asked
        assert [one.id async for one in completions.list()] == []


async def test_lists_come_in_pages_and_in_order(house: House) -> None:
    async with house.client() as client:
        completions = client.chat.completions
        for number in range(5):
            model = CHAT if number % 2 else "gpt-3.5-turbo"
            await completions.create(model=model, messages=SAID, store=True)  # type: ignore[call-overload]
        oldest = [one.id async for one in completions.list(limit=2)]
        assert len(oldest) == 5 and [one.id async for one in completions.list(order="desc")] == oldest[::-1]
        page = await completions.list(limit=2)
        assert (page.has_more, [one.id for one in page.data]) == (True, oldest[:2])
        assert len([one async for one in completions.list(model="gpt-3.5-turbo", limit=1)]) == 3
        assert len([one async for one in completions.list(model=CHAT)]) == 5, "each was answered by it"
        with pytest.raises(BadRequestError):
            await completions.list(after="chatcmpl-none")
    status, _, whole = await house.service.call("GET", f"{PATH}?limit=2&after={oldest[2]}")
    assert status == 200 and (whole["first_id"], whole["last_id"]) == (oldest[3], oldest[4])
    assert (whole["object"], whole["has_more"]) == ("list", False)
    _, _, empty = await house.service.call("GET", f"{PATH}?model=none")
    assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_what_is_shown_of_one_is_what_openai_shows(house: House) -> None:
    _, headers, made = await house.service.chat(store=True, seed=5)
    _, _, shown = await house.service.call("GET", f"{PATH}/{made['id']}")
    assert shown == made | {
        "request_id": headers["x-request-id"],
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": 5,
        "input_user": None,
        "tools": None,
        "tool_choice": None,
        "response_format": None,
    }


async def test_what_did_not_ask_to_be_stored_is_not(house: House) -> None:
    for fields in ({}, {"store": False}, {"store": None}, {"metadata": {"a": "b"}}):
        assert (await house.service.chat(**fields))[0] == 200
    assert (await house.service.complete())[0] == 200
    assert house.kept.observed == 5 and house.kept.kept == {}


async def test_with_zero_retention_it_is_as_if_it_had_not_asked(house: House) -> None:
    async with house.client("sk-zero") as client:
        made = await client.chat.completions.create(model="gpt-3.5-turbo", messages=SAID, store=True)  # type: ignore[call-overload]
        assert made.choices[0].message.content == "Hello you"
        with pytest.raises(NotFoundError):
            await client.chat.completions.retrieve(made.id)
    assert house.kept.observed == 1 and house.kept.kept == {}


async def test_a_streamed_one_is_stored_as_a_whole(house: House) -> None:
    async with house.client() as client:
        stream = await client.chat.completions.create(  # type: ignore[call-overload]
            model="gpt-3.5-turbo", messages=SAID, store=True, stream=True
        )
        [id] = {chunk.id async for chunk in stream}
        assert (await client.chat.completions.retrieve(id)).choices[0].message.content == "Hello you"


async def test_each_project_sees_its_own(house: House) -> None:
    _, _, made = await house.service.chat(store=True)
    async with house.client("sk-other") as other:
        completions = other.chat.completions
        assert [one async for one in completions.list()] == []
        for asked in (
            completions.retrieve(made["id"]),
            completions.update(made["id"], metadata={}),
            completions.delete(made["id"]),
        ):
            with pytest.raises(NotFoundError, match="no such stored completion"):
                await asked
        with pytest.raises(NotFoundError):
            await completions.messages.list(made["id"])
    assert made["id"] in house.kept.kept


async def calling(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
    yield Delta(0, "", calls=(CallDelta(0, "call_1", "look", "{}"),), completion_tokens=1)
    yield Delta(0, "", (), "tool_calls", 1)
    yield Usage(prompt_tokens=3, completion_tokens=1)


async def test_calls_and_parts_come_back_as_they_were_sent(tmp_path: Path) -> None:
    kept = InMemory()
    engine = ScriptedEngine(calling)
    engine.tells_calls = True
    called = {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    said: list[dict[str, Any]] = [
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "seen", "tool_call_id": "call_0"},
    ]
    tools = [{"type": "function", "function": {"name": "look"}}]
    async with serving(tmp_path, engine, authenticator=Keys(), observers=[kept], stored=kept) as service:
        _, _, made = await service.chat(messages=said, tools=tools, store=True)
        path = f"{PATH}/{made['id']}"
        _, _, shown = await service.call("GET", path)
        _, _, listed = await service.call("GET", f"{path}/messages")
        _, _, newest = await service.call("GET", f"{path}/messages?order=desc&limit=1")
        _, _, rest = await service.call("GET", f"{path}/messages?order=desc&after={newest['last_id']}")
        house = House(service, kept)
        unknown = await house.refused("GET", f"{path}/messages?after=x")
    assert shown["choices"] == made["choices"] and shown["tools"] == tools
    assert shown["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look"
    ids = [f"{made['id']}-{n}" for n in range(3)]
    assert [message["id"] for message in listed["data"]] == ids
    first, second, third = listed["data"]
    assert (first["content"], first["content_parts"], first["name"]) == (None, parts, "ann")
    assert second["tool_calls"] == [called] and second["content_parts"] is None
    assert (third["content"], third["tool_call_id"]) == ("seen", "call_0") and "tool_calls" not in third
    assert (newest["has_more"], newest["data"]) == (True, [third])
    assert (rest["has_more"], rest["data"]) == (False, [second, first])
    assert unknown == (400, None, "after")


LONG = {"long key": {"x" * 65: ""}, "long value": {"x": "y" * 513}, "many": {str(n): "" for n in range(17)}}


@pytest.mark.parametrize("metadata", LONG.values(), ids=LONG)
async def test_metadata_has_bounds(house: House, metadata: dict[str, str]) -> None:
    body = {"model": "gpt-3.5-turbo", "messages": SAID, "metadata": metadata, "store": True}
    status, code, param = await house.refused("POST", PATH, body)
    assert (status, code) == (400, "invalid_value") and str(param).startswith("metadata")
    _, _, made = await house.service.chat(store=True)
    changed = await house.refused("POST", f"{PATH}/{made['id']}", {"metadata": metadata})
    assert changed == (400, "invalid_value", param)


async def test_metadata_up_to_its_bounds(house: House) -> None:
    metadata = {f"{n:064}": "y" * 512 for n in range(16)}
    status, _, made = await house.service.chat(store=True, metadata=metadata)
    _, _, shown = await house.service.call("GET", f"{PATH}/{made['id']}")
    assert status == 200 and shown["metadata"] == metadata
    _, _, shown = await house.service.call("POST", f"{PATH}/{made['id']}", json={"metadata": None})
    assert shown["metadata"] == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "wrong"),
    [
        ("GET", "?limit=0", None, (400, "invalid_value", "limit")),
        ("GET", "?order=up", None, (400, "invalid_value", "order")),
        ("GET", "?before=x", None, (400, "unknown_parameter", "before")),
        ("GET", "?metadata=x", None, (400, None, "metadata")),
        ("POST", "/chatcmpl-none", {}, (400, "missing_required_parameter", "metadata")),
        ("POST", "/chatcmpl-none", {"metadata": {"a": 1}}, (400, "invalid_type", "metadata")),
        ("POST", "/chatcmpl-none", {"metadata": {}, "model": "m"}, (400, "unknown_parameter", "model")),
        ("POST", "/chatcmpl-none", {"metadata": {}}, (404, None, None)),
        ("GET", "/chatcmpl-none/messages", None, (404, None, None)),
    ],
)
async def test_what_is_refused(
    house: House, method: str, path: str, body: Any, wrong: tuple[int, str | None, str | None]
) -> None:
    found = await house.refused(method, f"{PATH}{path}", body)
    assert found[:2] == wrong[:2] and str(found[2]).startswith(str(wrong[2]))


async def test_the_document_says_how_metadata_is_asked_for(house: House) -> None:
    _, _, document = await house.service.call("GET", "/openapi.json")
    listing = document["paths"][PATH]["get"]["parameters"]
    [metadata] = [parameter for parameter in listing if parameter["name"] == "metadata"]
    assert (metadata["in"], metadata["style"], metadata["explode"]) == ("query", "deepObject", True)
    assert metadata["schema"]["type"] == "object" and "style" not in listing[0]
    _, _, page = await house.service.call("GET", "/docs/api")
    assert f"{PATH}/{{completion_id}}/messages" in page


async def test_where_nothing_is_kept_there_is_nothing_to_ask_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, _ = await service.chat(store=True)
        assert status == 200
        assert (await service.call("GET", PATH))[0] == 405
        assert (await service.call("GET", f"{PATH}/chatcmpl-1"))[0] == 404
