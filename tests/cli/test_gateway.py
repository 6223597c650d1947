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
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
