"""Several real gateway processes under one parent, on a real PostgreSQL, with real engines."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from benchmarks.faults import (
    ask,
    busy_slots,
    connections,
    engine_pid,
    equal,
    gateway_pids,
    leave,
    served,
    session,
    slots,
    until,
)
from benchmarks.processes import Server, antiphon

from servers import PostgresServer, fresh_database

PROCESSES = 2
SOON = 3 * 2.0
SERVED_AGAIN = 3 * 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Server]:
    with fresh_database(postgres_server) as database:
        settings = {"ANTIPHON_PROCESSES": str(PROCESSES), "ANTIPHON_DATABASE": database.url}
        with antiphon(tmp_path_factory.mktemp("processes"), settings) as started:
            yield started


def share(server: Server) -> int:
    """Places of the chat engine that one gateway has."""
    return slots(server) // PROCESSES


async def all_answer(server: Server) -> bool:
    """Whether new connections reach every process."""

    async def reached() -> str:
        async with aiohttp.ClientSession() as client, client.get(f"{server.root}/metrics") as response:
            [number] = set(re.findall(r'process="(\d+)"', await response.text()))
            return str(number)

    return len(set(await asyncio.gather(*(reached() for _ in range(8))))) == PROCESSES


async def streams_on_all(server: Server, client: aiohttp.ClientSession) -> list[asyncio.Task[object]]:
    """As many endless streams as it takes until every gateway has one."""
    streams: list[asyncio.Task[object]] = []
    while not all(connections(server, gateway) for gateway in gateway_pids(server)):
        assert len(streams) < 16, "all connections go to one process"
        streams.append(asyncio.create_task(ask(client, stream=True)))
        await until(lambda: equal(_counted(server), len(streams)), SOON)
    return streams


async def at_least(count: Awaitable[int], wanted: int) -> bool:
    return await count >= wanted


async def _counted(server: Server) -> int:
    return sum(connections(server, gateway) for gateway in gateway_pids(server))


async def _true(fact: bool) -> bool:
    return fact


async def test_every_process_answers_at_the_one_address_and_takes_its_share(server: Server) -> None:
    assert len(gateway_pids(server)) == PROCESSES
    await until(lambda: all_answer(server), SOON)
    log = server.log.read_text()
    assert all(f" [{number}] INFO " in log for number in range(1, PROCESSES + 1))
    # Each finds the engine that is shared in its own time.
    await until(lambda: all_have(server, share(server)), SOON)


async def all_have(server: Server, places: int) -> bool:
    """Whether every process knows of so many places of the chat engine, as far as some connections tell."""
    found = set()
    for _ in range(4 * PROCESSES):
        async with session(server) as client, client.get("/metrics") as response:
            told = re.findall(
                r'antiphon_engine_slots{.*snapshot="smollm2[^/@"]*"} (.*)', await response.text()
            )
            found |= {float(slots) for slots in told}
    return found == {places}


async def test_a_killed_gateway_takes_nobody_with_it_and_is_started_anew(server: Server) -> None:
    async with session(server) as client:
        streams = await streams_on_all(server, client)
        before = gateway_pids(server)
        victim = min(before, key=lambda gateway: connections(server, gateway))
        lost = connections(server, victim)
        os.kill(victim, signal.SIGKILL)
        await until(lambda: equal(_done(streams), lost), SOON)
        await until(lambda: equal(busy_slots(server), min(share(server), len(streams) - lost)), SOON)
        await until(lambda: _true(len(gateway_pids(server)) == PROCESSES), SERVED_AGAIN)
        assert before - gateway_pids(server) == {victim}
        await until(lambda: all_answer(server), SERVED_AGAIN)
        assert await _done(streams) == lost
        for stream in streams:
            await leave(stream)
        await until(lambda: equal(busy_slots(server), 0), SOON)


async def _done(streams: list[asyncio.Task[object]]) -> int:
    return sum(stream.done() for stream in streams)


async def test_a_killed_engine_is_soon_used_again_by_every_process(server: Server) -> None:
    async with session(server) as client:
        streams = await streams_on_all(server, client)
        # One process may have been given more than its share of places: the rest wait, for the next engine.
        await until(lambda: at_least(busy_slots(server), PROCESSES), SOON)
        running = await busy_slots(server)
        os.kill(engine_pid(server), signal.SIGKILL)
        await until(lambda: at_least(_done(streams), running), SOON)
        answers = [str(await stream) for stream in streams]
        assert sum('"engine_failed"' in answer for answer in answers) >= running >= PROCESSES
        await until(lambda: _all_served(server), SERVED_AGAIN)


async def _all_served(server: Server) -> bool:
    """Whether a chat request is answered, whichever process it reaches."""

    async def one() -> bool:
        async with session(server) as client:
            return await served(client)

    return all(await asyncio.gather(*(one() for _ in range(6))))


@pytest.fixture
def home(server: Server, tmp_path: Path) -> Path:
    """A data folder with the models of `server`, for one that a test may end."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(server.home / "models")
    return tmp_path / "home"


async def test_when_the_parent_is_killed_everything_ends(home: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="ended with -9"),
        antiphon(home, {"ANTIPHON_PROCESSES": str(PROCESSES)}) as server,
    ):
        family = psutil.Process(server.pid).children(recursive=True)
        os.kill(server.pid, signal.SIGKILL)
        _, alive = await asyncio.to_thread(psutil.wait_procs, family, SOON)
        chat = len(family) - PROCESSES - 2  # besides the speech engine, and the decoder's parent
        assert chat in (1, 2) and not alive, "one chat engine, or two of which the other does what one cannot"


async def test_sigterm_lets_the_streams_of_every_process_end(server: Server) -> None:
    """The last test here, which ends the server; the fixture checks that it ended with 0."""
    async with session(server) as client:
        streams = [asyncio.create_task(ask(client, stream=True, max_tokens=150)) for _ in range(4)]
        await until(lambda: equal(busy_slots(server), 4), 10)
        os.kill(server.pid, signal.SIGTERM)
        for status, text in await asyncio.gather(*streams):
            assert status == 200 and text.endswith("data: [DONE]\n\n")
