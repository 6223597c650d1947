"""The client that counts, and what is made of its counts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from benchmarks.gateway import stub
from benchmarks.gateway.client import Connection, Crowd, Failed, request
from benchmarks.gateway.measure import Ear, Target, commit_ms, paced, rate, resident_mib, summed, turn
from benchmarks.gateway.plan import Plan

HERE = ("127.0.0.1", 0)
PLAN = Plan(
    warm_up=0.05, seconds=0.2, paced_streams=5, paced_seconds=0.5, held_streams=5, held_seconds=0.3, ramp=0.1
)


@asynccontextmanager
async def upstream(*, ours: bool = False) -> AsyncIterator[Target]:
    """The stub in this loop; with `ours`, its process counts as the gateway."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: stub.Exchange(stub.PERIOD), "127.0.0.1", 0) as server:
        address = ("127.0.0.1", server.sockets[0].getsockname()[1])
        yield Target(address=address, key="none", processes=(os.getpid(),) if ours else ())


@asynccontextmanager
async def saying(*pieces: bytes) -> AsyncIterator[tuple[str, int]]:
    """A server that says the pieces to whoever asks, one by one, and closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    answers: list[asyncio.Task[None]] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.append(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0) as server:
        yield ("127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.gather(*answers)


async def once(address: tuple[str, int]) -> Sequence[Connection]:
    """One stream, to its end."""
    heard: list[int] = []
    crowd = Crowd(address, [request(address, "k", "m", 1, stream=True)])
    try:
        await crowd.open(lambda connection, count: heard.append(count))
        await crowd.begin(0.01)
        await crowd.wait(0.3)
    finally:
        crowd.close()
    assert sum(heard) == sum(connection.events for connection in crowd.connections)
    return crowd.connections


def test_a_request_is_http() -> None:
    head, body = request(("127.0.0.1", 80), "sk-1", "m", 5, stream=True).split(b"\r\n\r\n")
    assert b"authorization: Bearer sk-1" in head and b"content-length: %d" % len(body) in head
    assert b'"max_tokens":5' in body


async def test_every_client_asks_again_until_it_is_told_to_stop() -> None:
    async with upstream() as target:
        found = await rate(target, PLAN, 4, 3, stream=False)
        assert found.per_second > 100 and 0 < found.p50 <= found.p99 < 1000 * PLAN.seconds
        streams = await rate(target, PLAN, 4, 3, stream=True)
        assert streams.per_second > 50


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_events_are_counted_in_whatever_pieces_they_arrive() -> None:
    pieces = [HEAD, chunk(b"da"), chunk(b"ta: 1\n\ndata:"), chunk(b" 2\n\ndata: 3\n\n"), chunk(b"data: [DO")]
    async with saying(*pieces, chunk(b"NE]\n\n") + b"0\r\n\r\n") as address:
        [connection] = await once(address)
        assert connection.events == 4


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([b"HTTP/1.1 503 no\r\ncontent-length: 5\r\n\r\nwhy??"], "503: why"),
        ([HEAD, chunk(b"data: 1\n\n"), b"0\r\n\r\n"], "200: data: 1"),
        ([HEAD, chunk(b"data: 1\n\n")], "closed"),
        ([b"garbage\r\n\r\n"], "no HTTP"),
        ([], "closed"),
    ],
)
async def test_what_is_no_answer_fails(pieces: list[bytes], told: str) -> None:
    async with saying(*pieces) as address:
        with pytest.raises(Failed, match=told):
            await once(address)


async def test_streams_are_counted_while_they_run() -> None:
    async with upstream(ours=True) as target:
        found = await paced(target, 100, 0.1, 1.0)  # enough for a clock of 10 ms to see them
    assert 0.7 <= found.arrived <= 1.3
    assert found.gaps >= 700 and found.microseconds > 0


def test_gaps_are_those_of_one_stream() -> None:
    moments = iter((0.1, 0.1, 0.2, 0.4, 0.44, 0.5, 0.5, 0.5, 0.6))
    ear = Ear(lambda: next(moments))
    quick, slow, silent = (Connection(b"", lambda _: None, lambda _: None) for _ in range(3))
    ear.counts = True
    for connection, count in ((quick, 1), (slow, 1), (quick, 2), (slow, 1), (quick, 1)):
        ear.hear(connection, count)
    assert (ear.events, ear.gaps, ear.late) == (6, 6, 1)  # the slow one's, of 0.3 s
    ear.end([quick, slow, silent])
    assert (ear.events, ear.gaps, ear.late) == (6, 7, 2)  # and the silent one's, of 0.5 s
    ear.hear(quick, 1)
    assert ear.events == 6


def test_rates_are_summed() -> None:
    found = summed([0.001 * number for number in range(1, 101)], 2.0, 0.5)
    assert found.per_second == 50 and found.microseconds == 5000
    assert 50 <= found.p50 <= 51 and 99 <= found.p99 <= 100
    with pytest.raises(Failed, match=r"no answer in 2\.0 s"):
        summed([], 2.0, 0.0)


async def test_a_turn_measures_everything_and_tells_what_failed() -> None:
    async with upstream(ours=True) as target:
        found = await turn(target, PLAN, hold=True)
    assert found.problems == [] and found.resident_mib == pytest.approx(resident_mib([os.getpid()]), rel=0.5)
    assert found.one and found.requests and found.streams and found.paced and found.held
    found = await turn(target, PLAN, hold=True)  # nobody is there any more
    assert len(found.problems) == 5 and found.problems[0].startswith("one: ")


def test_a_commit_takes_time(tmp_path: Path) -> None:
    assert 0 < commit_ms(tmp_path / "new") < 1000
