"""What embeddings pay, wait for and leave behind: reserved, settled to the token, limited, cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from antiphon.errors import Unauthenticated
from antiphon.storage import tables
from antiphon.values import Caller
from embedding_service import MODEL, PRICE, ScriptedEmbeddings, embed, embedding
from service import CALLER, KEY
from until import until


async def test_a_bill_to_the_token(tmp_path: Path) -> None:
    async with embedding(tmp_path) as service:
        status, headers, body = await embed(service, input=["one two three", "four", "five six"])
        paid = await service.books.only()
    assert status == 200 and body["usage"]["prompt_tokens"] == 6
    assert (paid.id, paid.status, paid.task, paid.snapshot) == (
        headers["x-request-id"],
        "settled",
        "embedding",
        MODEL,
    )
    assert (paid.input_tokens, paid.output_tokens, paid.cached_tokens, paid.seconds) == (6, 0, 0, 0)
    assert paid.reserved == paid.cost == 6 * PRICE
    assert (paid.model, paid.endpoint) == ("text-embedding-3-small", "embeddings")
    assert 0 <= paid.queued_ms <= paid.engine_ms <= paid.first_ms <= paid.ended_ms


async def test_it_is_reserved_before_the_engine_works(tmp_path: Path) -> None:
    engine = ScriptedEmbeddings()
    engine.gate.clear()
    async with embedding(tmp_path, engine) as service:
        asking = asyncio.create_task(embed(service, input="one two three"))
        await asyncio.wait_for(engine.begun.wait(), 5)
        async with asyncio.timeout(5):
            while not (rows := await service.books.rows(tables.request)):
                await asyncio.sleep(0.02)
        assert [(row.status, row.reserved) for row in rows] == [("open", 3 * PRICE)]
        engine.gate.set()
        await asking


async def test_a_client_that_leaves_cancels_the_work_and_pays_nothing(tmp_path: Path) -> None:
    engine = ScriptedEmbeddings()
    engine.gate.clear()
    async with embedding(tmp_path, engine, capacity=1) as service:
        asking = asyncio.create_task(embed(service))
        await asyncio.wait_for(engine.begun.wait(), 5)
        asking.cancel()
        await until(lambda: engine.running == 0, 5)
        paid = await service.books.only()
        engine.gate.set()
        assert (await embed(service))[0] == 200, "its place is free"
    assert (paid.status, paid.cost) == ("voided", 0)


async def test_rates_count_real_tokens(tmp_path: Path) -> None:
    """Words are a token each: a guess by characters would let the second in, or refuse the first."""
    async with embedding(tmp_path, tokens_per_minute=10) as service:
        assert (await embed(service, input="a b c d e f g h"))[0] == 200
        status, headers, body = await embed(service, input="a b c d e f g h")
    assert status == 429 and body["error"]["code"] == "rate_limit_exceeded"
    assert body["error"]["type"] == "tokens" and "retry-after" in headers


async def test_requests_wait_in_line_and_take_one_place_each(tmp_path: Path) -> None:
    engine = ScriptedEmbeddings()
    engine.gate.clear()
    async with embedding(tmp_path, engine, capacity=2) as service:
        asking = [asyncio.create_task(embed(service, input=["a"] * 5)) for _ in range(3)]
        await until(lambda: engine.running == 2, 5)
        await asyncio.sleep(0.1)
        assert engine.running == 2
        engine.gate.set()
        assert [(await one)[0] for one in asking] == [200] * 3


async def test_a_deadline(tmp_path: Path) -> None:
    engine = ScriptedEmbeddings()
    engine.gate.clear()
    async with embedding(tmp_path, engine, chat_seconds=1.5) as service:
        status, _, body = await embed(service)
        paid = await service.books.only()
    assert (status, body["error"]["code"]) == (408, "timeout")
    assert (paid.status, paid.cost, engine.running) == ("voided", 0, 0)


async def test_a_retry_is_answered_from_the_first_and_charged_once(tmp_path: Path) -> None:
    engine = ScriptedEmbeddings()
    async with embedding(tmp_path, engine) as service:
        answers = [await embed(service, {"idempotency-key": "k"}) for _ in range(2)]
        paid = await service.books.only()
    assert answers[0][2] == answers[1][2] and answers[1][1]["idempotent-replayed"] == "true"
    assert (len(engine.inputs), paid.cost) == (1, 2 * PRICE)


@pytest.mark.parametrize(("scopes", "status"), [({"chat"}, 200), ({"audio", "models"}, 403)])
async def test_it_is_a_right_of_the_scope_of_chat(tmp_path: Path, scopes: set[str], status: int) -> None:
    class Narrow:
        async def authenticate(self, token: str) -> Caller:
            if token != KEY:
                raise Unauthenticated("Incorrect API key provided.")
            return msgspec.structs.replace(CALLER, scopes=frozenset(scopes))

    async with embedding(tmp_path, authenticator=Narrow()) as service:
        assert (await embed(service))[0] == status
        assert (await embed(service, {"authorization": "Bearer sk-wrong"}))[0] == 401
