"""What a chat request pays, whole or not: on a real socket, with a scripted engine and the real ledger."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from antiphon.admission.rates import Place
from antiphon.api.exchange import Exchange
from antiphon.errors import EngineFailed, StorageFull, Unavailable
from antiphon.ledger.meter import Bill
from antiphon.storage import tables
from antiphon.values import ChatJob, Delta, Usage
from service import KEY, ChatScript, ScriptedEngine, Service, serving

TOKEN = 2_000
"""Nano-dollars, from the shipped price list."""
BODY = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Say hello"}], "stream": True}
PROMPT = 2
"""Tokens of these messages, as the scripted engine counts."""


def script(*pieces: Delta | Usage, then: Exception | None = None, hangs: bool = False) -> ChatScript:
    async def answer(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        for piece in pieces:
            yield piece
        if hangs:
            await asyncio.Event().wait()
        if then:
            raise then

    return answer


async def read_until(service: Service, last: str, **fields: Any) -> list[bytes]:
    """The frames of a stream up to the one that holds `last`; then the client goes away."""
    frames: list[bytes] = []
    url, headers = f"http://127.0.0.1:{service.port}/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
    async with service.session.post(url, json=BODY | fields, headers=headers) as response:
        while not frames or last.encode() not in frames[-1]:
            frames.append(await asyncio.wait_for(response.content.readuntil(b"\n\n"), 5))
        response.close()
    return frames


@pytest.mark.parametrize("stream", [True, False])
async def test_a_whole_answer_pays_what_the_engine_counted_at_its_end(tmp_path: Path, stream: bool) -> None:
    ended = script(
        Delta(0, "Hi", completion_tokens=1),
        Delta(0, "", (), "stop", 2),
        Usage(prompt_tokens=PROMPT, cached_tokens=1, completion_tokens=2),
    )
    async with serving(tmp_path, ScriptedEngine(ended)) as service:
        status, headers, _ = await service.chat(stream=stream)
        paid = await service.books.only()
    assert status == 200 and paid.id == headers["x-request-id"] and paid.status == "settled"
    assert (paid.input_tokens, paid.cached_tokens, paid.output_tokens) == (PROMPT, 1, 2)
    assert paid.cost == (PROMPT + 2) * TOKEN
    assert (paid.organization_id, paid.project_id, paid.key_id) == ("org-1", "proj_1", "key_1")
    assert (paid.model, paid.endpoint, paid.reason) == ("gpt-3.5-turbo", "chat.completions", None)
    assert 0 <= paid.queued_ms <= paid.engine_ms <= paid.first_ms <= paid.ended_ms


async def test_the_row_tells_how_long_the_first_piece_took_and_why_there_was_no_more(tmp_path: Path) -> None:
    async def answer(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        await asyncio.sleep(0.3)
        yield Delta(0, "Hi", completion_tokens=1)
        await asyncio.sleep(0.2)
        raise EngineFailed("gone")

    async with serving(tmp_path, ScriptedEngine(answer)) as service:
        await service.chat(stream=True)
        paid = await service.books.only()
    assert (paid.status, paid.reason) == ("settled", "EngineFailed")
    assert paid.first_ms - paid.engine_ms >= 290 and paid.ended_ms - paid.first_ms >= 190


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_paid_before_its_end_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    order: list[str] = []
    settle, write, answer = Bill.settle, Exchange.write, Exchange.answer

    async def settling(bill: Bill, usage: Usage) -> None:
        await settle(bill, usage)
        order.append("paid")

    async def writing(exchange: Exchange, frame: bytes) -> None:
        order.append("end" if b"[DONE]" in frame else "frame")
        await write(exchange, frame)

    async def answering(exchange: Exchange, *whole: Any, **more: Any) -> None:
        order.append("end")
        await answer(exchange, *whole, **more)

    monkeypatch.setattr(Bill, "settle", settling)
    monkeypatch.setattr(Exchange, "write", writing)
    monkeypatch.setattr(Exchange, "answer", answering)
    async with serving(tmp_path) as service:
        await service.chat(stream=stream)
    assert order == [*["frame"] * (4 if stream else 0), "paid", "end"]


async def test_an_aborted_stream_pays_its_prompt_and_the_tokens_of_the_last_frame_handed_over(
    tmp_path: Path,
) -> None:
    begun = script(
        Delta(0, "Hel", completion_tokens=3),
        Delta(1, "Hal", completion_tokens=4),
        Delta(0, "lo", completion_tokens=5),
        hangs=True,
    )
    async with serving(tmp_path, ScriptedEngine(begun)) as service:
        await read_until(service, '"lo"', n=2)
        paid = await service.books.only()
    assert paid.status == "settled"
    assert (paid.input_tokens, paid.output_tokens) == (PROMPT, 9)
    assert paid.cost == (PROMPT + 9) * TOKEN


async def test_the_first_frame_costs_the_prompt_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = asyncio.Event()
    write = Exchange.write

    async def writing(exchange: Exchange, frame: bytes) -> None:
        if written.is_set():
            await asyncio.Event().wait()  # a socket that takes nothing more
        await write(exchange, frame)
        written.set()

    monkeypatch.setattr(Exchange, "write", writing)
    async with serving(tmp_path) as service:
        await read_until(service, "assistant")
        paid = await service.books.only()
    assert (paid.status, paid.input_tokens, paid.output_tokens) == ("settled", PROMPT, 0)


async def test_an_engine_that_does_not_count_is_paid_by_the_frame(tmp_path: Path) -> None:
    begun = script(Delta(0, "Hel"), Delta(0, "lo"), Delta(0, "!", (), "stop"), hangs=True)
    async with serving(tmp_path, ScriptedEngine(begun, counts=False)) as service:
        await read_until(service, '"finish_reason":"stop"')
        paid = await service.books.only()
    assert (paid.input_tokens, paid.output_tokens) == (PROMPT, 3)


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_aborted_before_anything_was_handed_over_is_free(tmp_path: Path, stream: bool) -> None:
    begun = asyncio.Event()

    async def silent(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        if not stream:
            yield Delta(0, "Hel", completion_tokens=1)
        begun.set()
        await asyncio.Event().wait()
        yield Usage()

    async with serving(tmp_path, ScriptedEngine(silent)) as service:
        asking = asyncio.create_task(service.chat(stream=stream))
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        paid = await service.books.only()
    assert (paid.status, paid.cost) == ("voided", 0)


@pytest.mark.parametrize(("stream", "tokens"), [(True, PROMPT + 1), (False, 0)])
async def test_an_engine_that_fails_midway_is_paid_for_what_was_handed_over(
    tmp_path: Path, stream: bool, tokens: int
) -> None:
    failing = script(Delta(0, "Hel", completion_tokens=1), then=EngineFailed("The engine broke off."))
    async with serving(tmp_path, ScriptedEngine(failing)) as service:
        await service.chat(stream=stream)
        paid = await service.books.only()
    assert paid.cost == tokens * TOKEN
    assert paid.status == ("settled" if tokens else "voided")


@pytest.mark.parametrize(("problem", "status"), [(StorageFull("Full."), 507), (Unavailable("Away."), 503)])
async def test_an_answer_that_cannot_be_recorded_ends_as_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, status: int
) -> None:
    async def fails(bill: Bill, usage: Usage) -> None:
        raise problem

    monkeypatch.setattr(Bill, "settle", fails)
    async with serving(tmp_path) as service:
        whole_status, _, whole = await service.chat()
        _, _, stream = await service.chat(stream=True, stream_options={"include_usage": True})
    assert whole_status == status and "choices" not in whole
    last = json.loads(stream.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == problem.code and "[DONE]" not in stream  # type: ignore[attr-defined]
    assert '"prompt_tokens"' not in stream


@pytest.mark.fault("a client leaves at the last byte")
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_being_charged_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """The deadline of the answer ends where the settlement begins, which has its own."""
    settle, seconds = Bill.settle, 0.3

    async def slow(bill: Bill, usage: Usage) -> None:
        await asyncio.sleep(2 * seconds)
        await settle(bill, usage)

    monkeypatch.setattr(Bill, "settle", slow)
    async with serving(tmp_path, chat_seconds=seconds) as service:
        status, _, body = await service.chat(stream=stream)
        paid = await service.books.only()
    assert status == 200 and (not stream or "[DONE]" in body)
    assert paid.status == "settled"


async def test_an_answer_whose_rate_cannot_be_corrected_in_time_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct, asked = Place.correct, itertools.count()

    async def slow(place: Place, tokens: int) -> None:
        if next(asked):
            await asyncio.Event().wait()
        await correct(place, tokens)

    monkeypatch.setattr(Place, "correct", slow)
    async with serving(tmp_path, chat_seconds=1.5) as service:
        status, _, _ = await service.chat()
        paid = await service.books.only()
    assert (status, paid.status, paid.cost) == (408, "voided", 0)


async def test_what_an_engine_does_after_its_count_is_not_waited_for(tmp_path: Path) -> None:
    lingering = script(Delta(0, "Hi", (), "stop", 1), Usage(prompt_tokens=2, completion_tokens=1), hangs=True)
    async with serving(tmp_path, ScriptedEngine(lingering)) as service:
        status, _, _ = await asyncio.wait_for(service.chat(), 5)
        await asyncio.wait_for(service.engine.idle.wait(), 5)
    assert status == 200


async def test_what_cannot_be_paid_is_refused_before_the_engine_works(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        async with service.books.database.begin() as connection:
            await connection.execute(insert(tables.spend_limit).values(scope="org-1", cents=0, updated_at=0))
        status, headers, body = await service.chat(max_tokens=1)
    assert (status, body["error"]["code"]) == (429, "insufficient_quota")
    assert headers["x-should-retry"] == "false" and service.engine.jobs == []


async def test_what_is_reserved_is_the_most_that_it_can_cost(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await service.chat(max_tokens=10, n=3)
        paid = await service.books.only()
    assert paid.reserved == (PROMPT + 30) * TOKEN


async def test_a_prompt_that_does_not_fit_reserves_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, _ = await service.chat(messages=[{"role": "user", "content": "word " * 8192}])
        await service.chat()
        await service.books.only()
    assert status == 400
