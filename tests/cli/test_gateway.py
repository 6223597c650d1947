"""What a gateway process does when it is told to end, and told again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.cli.gateway import Ending, by_signals
from antiphon.values import ChatJob, Delta, Usage
from service import ScriptedEngine, serving
from until import until


@pytest.mark.fault("SIGTERM, and again")
async def test_the_first_signal_drains_and_the_second_ends_at_once(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        begun.set()
        await asyncio.Event().wait()
        yield Delta(0, "never")

    server: Any = SimpleNamespace(should_exit=False, force_exit=False)
    async with serving(tmp_path, ScriptedEngine(endless), drain_seconds=20) as service:
        running = asyncio.create_task(service.chat())
        await begun.wait()
        try:
            ending = Ending(server, service.edge, seconds=20)
            by_signals(ending.end, ending.leave)
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: service.edge.draining)
            status, _, body = await service.chat()
            assert status == 503 and "shutting down" in body["error"]["message"]
            assert not server.should_exit and not running.done()
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: server.should_exit)
            assert server.force_exit
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
                asyncio.get_running_loop().remove_signal_handler(number)
        assert (await running)[0] == 503, "who is cut off is told"


async def test_who_takes_too_long_to_leave_is_not_ended_at_once_by_the_first_signal(tmp_path: Path) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        begun.set()
        yield Delta(0, "Hel")
        await go.wait()
        yield Delta(0, "lo", (), "stop", 1)
        yield Usage(prompt_tokens=1, completion_tokens=1)

    server: Any = SimpleNamespace(
        should_exit=False, force_exit=False, server_state=SimpleNamespace(connections=())
    )
    async with serving(tmp_path, ScriptedEngine(slow), drain_seconds=20) as service:
        running = asyncio.create_task(service.chat(stream=True))
        await begun.wait()
        ending = Ending(server, service.edge, seconds=0.05)
        ending.leave()
        await until(lambda: service.edge.draining)
        ending.end()
        assert not server.should_exit
        go.set()
        assert (await running)[2].endswith("data: [DONE]\n\n")
        await until(lambda: server.should_exit)
        assert not server.force_exit


async def test_a_stream_that_is_ended_at_once_ends_with_an_error(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        begun.set()
        await asyncio.Event().wait()

    server: Any = SimpleNamespace(should_exit=False, force_exit=False)
    async with serving(tmp_path, ScriptedEngine(endless), drain_seconds=20) as service:
        running = asyncio.create_task(service.chat(stream=True))
        await begun.wait()
        ending = Ending(server, service.edge, seconds=20)
        for _ in range(3):
            ending.end()
        status, _, text = await asyncio.wait_for(running, 5)  # not the drain
        assert status == 200 and "shut down" in text and "[DONE]" not in text
        assert server.force_exit
