"""What users meet when something breaks: real engines, real processes, one fault at a time.

The bars are 2 s for an error or a free slot and 10 s for being served again; tests allow three times that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from benchmarks.faults import (
    ENDLESS,
    LONG,
    SHORT,
    ask,
    busy_slots,
    engine_pid,
    equal,
    leave,
    served,
    session,
    slots,
    until,
    waiting,
)
from benchmarks.processes import Server, antiphon

SLOT_FREE = 3 * 2.0
SERVED_AGAIN = 3 * 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with antiphon(tmp_path_factory.mktemp("faults")) as started:
        yield started


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """For a test that ends the server, or an engine, which would start later from time to time."""
    with antiphon(tmp_path) as started:
        yield started


@pytest.mark.fault("a client leaves, its prompt being read or its answer written")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("messages", [SHORT, LONG], ids=["decode", "prefill"])
async def test_a_client_that_goes_away_frees_the_slot(server: Server, messages: Any, stream: bool) -> None:
    async with session(server) as client:
        task = asyncio.create_task(ask(client, messages=messages, stream=stream))
        await until(lambda: equal(busy_slots(server), 1), 10)
        await asyncio.sleep(0.5)  # well into the phase; the long prompt alone takes many seconds
        await leave(task)
        await until(lambda: equal(busy_slots(server), 0), SLOT_FREE)


@pytest.mark.fault("a client leaves while it is queued")
async def test_a_client_that_goes_away_while_queued_never_reaches_the_engine(server: Server) -> None:
    async with session(server) as client:
        running = [asyncio.create_task(ask(client, stream=True)) for _ in range(slots(server))]
        await until(lambda: equal(busy_slots(server), slots(server)), 30)
        queued = asyncio.create_task(ask(client))
        await until(lambda: equal(waiting(client), 1), 10)
        await leave(queued)
        await until(lambda: equal(waiting(client), 0), SLOT_FREE)
        for task in running:
            await leave(task)
        await until(lambda: equal(busy_slots(server), 0), SLOT_FREE)


async def test_a_full_queue_refuses_at_once_with_advice(server: Server) -> None:
    async with session(server) as client:
        tasks = [asyncio.create_task(ask(client, stream=True)) for _ in range(slots(server) + 16)]
        await until(lambda: equal(waiting(client), 16), 30)
        body = {"model": "gpt-3.5-turbo", "messages": SHORT}
        async with client.post("chat/completions", json=body) as refusal:
            assert refusal.status == 429 and int(refusal.headers["retry-after"]) >= 1
            assert (await refusal.json())["error"]["code"] == "rate_limit_exceeded"
        for task in tasks:
            await leave(task)
        await until(lambda: equal(busy_slots(server), 0), SLOT_FREE)


@pytest.mark.fault("an engine is killed midway")
async def test_an_engine_killed_midway_is_an_error_and_soon_back(own: Server) -> None:
    async with session(own) as client:
        body = {"model": "gpt-3.5-turbo", "messages": SHORT, "stream": True, **ENDLESS}
        whole = asyncio.create_task(ask(client))
        async with client.post("chat/completions", json=body) as response:
            events = response.content
            assert (await events.readline()).startswith(b"data: ")
            os.kill(engine_pid(own), signal.SIGKILL)
            killed = time.monotonic()
            rest = (await events.read()).decode()
        assert time.monotonic() - killed < SLOT_FREE
        last = rest.strip().split("\n\n")[-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_failed"
        assert "[DONE]" not in rest
        status, text = await whole
        assert status == 503 and json.loads(text)["error"]["code"] == "engine_failed"
        await until(lambda: served(client), SERVED_AGAIN)


@pytest.mark.fault("the server is killed whole")
async def test_killed_whole_it_leaves_no_engine_and_starts_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(RuntimeError, match="ended with -9"), antiphon(home) as server:
        engines = psutil.Process(server.pid).children(recursive=True)
        [folder] = (path for path in (home / "uploads").iterdir() if path.is_dir())
        (folder / "upload-left-over").write_bytes(b"half a recording")
        os.kill(server.pid, signal.SIGKILL)
        _, alive = await asyncio.to_thread(psutil.wait_procs, engines, SLOT_FREE)
        assert len(engines) == 3 and not alive  # and the decoder's parent
    with antiphon(home, key=server.key) as again:
        assert not folder.exists()
        left = (path for path in (home / "uploads").rglob("*") if path.is_file())
        assert {path.name for path in left} == {".lock"}
        async with session(again) as client:
            status, _ = await ask(client, max_tokens=2)
        assert status == 200


@pytest.mark.fault("SIGTERM")
async def test_sigterm_lets_running_streams_end_and_takes_no_new_ones(own: Server) -> None:
    """The fixture checks that it ended with 0."""
    async with session(own) as client:
        streams = [asyncio.create_task(ask(client, stream=True, max_tokens=150)) for _ in range(4)]
        await until(lambda: equal(busy_slots(own), 4), 10)
        os.kill(own.pid, signal.SIGTERM)
        await until(lambda: _drains(client), 3)
        status, text = await ask(client)
        assert status == 503 and "shutting down" in text
        for status, text in await asyncio.gather(*streams):
            assert status == 200 and text.endswith("data: [DONE]\n\n")


async def _drains(client: aiohttp.ClientSession) -> bool:
    async with client.get("/readyz") as response:
        return response.status == 503
