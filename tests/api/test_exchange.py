"""When a frame counts as handed over: not when it was sent, but when the connection had taken it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Mapping
from typing import Any

import pytest

from antiphon.api.exchange import CONNECTION_LOST, PIECE, Exchange
from antiphon.api.recording import Answers, Recording
from antiphon.errors import ClientGone, EngineFailed
from antiphon.settings import Settings
from antiphon.values import Caller


class Connection:
    """Takes messages until it is lost, then drops them silently, as uvicorn does."""

    def __init__(self, *, takes: int) -> None:
        self.takes = takes
        self.sent: list[Any] = []

    def lost(self) -> bool:
        return len(self.sent) >= self.takes

    async def send(self, message: Any) -> None:
        if not self.lost():
            self.sent.append(message)

    @property
    def frames(self) -> list[bytes]:
        return [message["body"] for message in self.sent if message.get("body")]


def exchange(connection: Connection, headers: Mapping[str, str] = {}) -> Exchange:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    def no_headers(caller: Caller, standing: Any) -> dict[str, str]:
        return {}

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "method": "POST", "path": "/", "query_string": b"", "headers": named,
        "state": {CONNECTION_LOST: connection.lost},
    }  # fmt: skip
    return Exchange(scope, receive, connection.send, Settings(), no_headers)


def recording() -> Recording:
    return Answers().begin(b"key", b"", 0.0).recording


async def test_a_frame_that_the_connection_dropped_was_not_handed_over() -> None:
    connection = Connection(takes=3)
    answering = exchange(connection)
    await answering.write(b"one")
    with pytest.raises(ClientGone):
        await answering.write(b"two, at which the connection breaks")
    with pytest.raises(ClientGone):
        await answering.write(b"three")
    assert connection.frames[0] == b"one"


async def test_what_is_kept_for_a_retry_is_handed_over() -> None:
    answering = exchange(Connection(takes=0))
    answering.recording = recording()
    await answering.write(b"one")
    await answering.write(b" two")
    await answering.end()
    assert bytes(answering.recording.body) == b"one two"
    assert answering.recording.streams and answering.recording.content_type.startswith("text/event-stream")


async def test_what_is_not_kept_any_longer_is_not() -> None:
    answering = exchange(Connection(takes=0))
    answering.recording = recording()
    await answering.write(b"one")
    answering.recording.drop()
    with pytest.raises(ClientGone):
        await answering.write(b"two")


async def test_a_whole_answer_is_kept_and_an_error_is_not() -> None:
    whole, failed = exchange(Connection(takes=9)), exchange(Connection(takes=9))
    whole.recording, failed.recording = recording(), recording()
    await whole.answer(b"{}", headers={"x-more": "1"})
    await failed.fail(EngineFailed("The engine broke off."))
    assert bytes(whole.recording.body) == b"{}" and not whole.recording.streams
    assert whole.recording.content_type == "application/json"
    assert not failed.recording.body and failed.status == 503


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 5 * PIECE])
async def test_a_whole_answer_is_sent_in_pieces(length: int) -> None:
    connection, body = Connection(takes=99), bytes(range(251)) * (5 * PIECE // 251 + 1)
    await exchange(connection).answer(body[:length], "image/png")
    assert b"".join(connection.frames) == body[:length]
    assert all(len(frame) <= PIECE for frame in connection.frames)
    bodies = [message["more_body"] for message in connection.sent[1:]]
    assert bodies == [True] * (len(bodies) - 1) + [False]
    assert (b"content-length", str(length).encode()) in connection.sent[0]["headers"]


async def test_json_ends_its_line_and_a_retry_gets_the_same() -> None:
    first, again, nothing = Connection(takes=9), Connection(takes=9), Connection(takes=9)
    answering = exchange(first)
    answering.recording = recording()
    await answering.answer(b'{"a": 1}')
    await exchange(again).answer(bytes(answering.recording.body), answering.recording.content_type)
    assert first.frames == again.frames == [b'{"a": 1}\n']
    assert (b"content-length", b"9") in first.sent[0]["headers"] and answering.sent == 9
    await exchange(nothing).answer(b"", status=304)
    assert nothing.frames == [], "what has no body has no line"


async def test_an_error_event_is_kept_and_a_lost_connection_is_no_second_error() -> None:
    connection = Connection(takes=2)
    answering = exchange(connection)
    with pytest.raises(ClientGone):
        await answering.write(b"one")
    await answering.fail(EngineFailed("The engine broke off."))
    await answering.fail(ClientGone("The client is gone."))
    kept = exchange(Connection(takes=0))
    kept.recording = recording()
    await kept.write(b"one")
    await kept.fail(EngineFailed("The engine broke off."))
    assert b"engine_failed" in kept.recording.body


@pytest.mark.parametrize("headers", [{}, {"content-length": "0"}])
async def test_a_request_without_a_body_is_whole_at_once(headers: dict[str, str]) -> None:
    asking = exchange(Connection(takes=9), headers)
    async with asyncio.timeout(5):
        await asking.gone()
    assert [piece async for piece in asking.body(10)] == []


@pytest.mark.parametrize("headers", [{"content-length": "2"}, {"transfer-encoding": "chunked"}])
async def test_a_body_is_read_before_the_client_can_be_gone(headers: dict[str, str]) -> None:
    asking = exchange(Connection(takes=9), headers)
    gone = asyncio.create_task(asking.gone())
    await asyncio.sleep(0)
    with pytest.raises(ClientGone):
        await anext(asking.body(10))
    assert not gone.done()
    gone.cancel()


async def test_nobody_is_told_that_nobody_is_there() -> None:
    connection = Connection(takes=9)
    answering = exchange(connection)
    await answering.fail(ClientGone("The client is gone."))
    assert connection.sent == [] and answering.status == 0


async def test_it_knows_how_it_ended() -> None:
    whole = exchange(Connection(takes=9))
    await whole.answer(b"{}")
    assert whole.ended.complete and whole.ended.received and whole.ended.status == 200
    assert not whole.ended.streams and whole.ended.first is None

    streamed = exchange(Connection(takes=9))
    await streamed.write(b"one")
    left = streamed.ended
    await streamed.end()
    assert not left.complete and streamed.ended.complete and streamed.ended.streams
    assert streamed.ended.first is not None and 0 <= streamed.ended.first <= streamed.ended.seconds

    broken = exchange(Connection(takes=9))
    await broken.write(b"one")
    await broken.fail(EngineFailed("The engine broke off."))
    assert (broken.status, broken.ended.status, broken.ended.code) == (200, 503, "engine_failed")

    gone = exchange(Connection(takes=9), {"content-length": "5"})
    with pytest.raises(ClientGone):
        await anext(gone.body(10))
    await gone.fail(ClientGone("The client is gone."))
    assert (gone.ended.status, gone.ended.complete, gone.ended.received) == (0, False, False)
    gone.to_stream, gone.sound = True, 2.5
    assert gone.ended.streams and gone.ended.sound == 2.5


async def test_an_answered_error_is_not_held() -> None:
    """It would hold its frames, which hold the exchange and the body, until a collection of all garbage."""
    connection = Connection(takes=9)
    answering = exchange(connection)

    raised: list[weakref.ref[Exception]] = []
    gc.disable()
    try:
        try:
            raise EngineFailed("No.")
        except EngineFailed as problem:
            raised.append(weakref.ref(problem))
            await answering.fail(problem)
        assert answering.ended.status == EngineFailed("No.").status and raised[0]() is None
    finally:
        gc.enable()
