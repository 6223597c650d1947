"""A server that was told to end in the time between a restart and the end of its own last request."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.cli import handover, standing, supervisor
from antiphon.cli.gateway import Ending
from antiphon.cli.restarts import Restarts
from antiphon.cli.supervisor import Supervisor
from antiphon.pools.reports import Gateways
from antiphon.settings import Settings
from antiphon.values import ChatJob, Delta, Usage
from service import ScriptedEngine, serving
from until import until

NEXT = """
import signal
from antiphon.cli import handover
handed = handover.inherited()
handover.end_with(handed)
handover.say(handed)
signal.pause()
"""
"""A server without requests: it ends as soon as it is told to."""
GATEWAY = """
import json, os, pathlib, signal, sys, time
post = json.loads(sys.stdin.buffer.raw.readline())
told = []
home = pathlib.Path(post["settings"]["home"])
def tell(*_):
    told.append(1)
    (home / "told").write_text(str(len(told)))
signal.signal(signal.SIGTERM, tell)
signal.signal(signal.SIGUSR1, lambda *_: (home / "left").touch())
print('{"ready": true}', flush=True)
while not (home / "whole").exists(): time.sleep(0.02)
"""
"""A gateway with a long request, which ends once there is a file."""


@asynccontextmanager
async def restarted(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    attend: Callable[[Restarts, socket.socket], None],
) -> AsyncIterator[int]:
    """This process as a server that has just handed over; gives the process id of the next one."""
    monkeypatch.setattr(handover, "command", lambda: [sys.executable, "-c", NEXT])
    with socket.create_server(("127.0.0.1", 0)) as listener, (home / standing.LOCK_NAME).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = Settings(home=str(home), restart_seconds=30)
        restarts = Restarts(settings, None, listener.fileno(), lock.fileno())
        restarts.begin()
        attend(restarts, listener)
        try:
            restarts.ready()
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: (now := standing.read(home)) and now.restarts == 1, 30)
            now = standing.read(home)
            assert now is not None and now.problem == "" and now.server != os.getpid()
            yield now.server
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
                asyncio.get_running_loop().remove_signal_handler(number)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_its_streams_end_whole_though_the_next_one_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        begun.set()
        yield Delta(0, "Hel")
        await go.wait()
        yield Delta(0, "lo", (), "stop", 1)
        yield Usage(prompt_tokens=1, completion_tokens=1)

    connections = SimpleNamespace(connections=())
    server: Any = SimpleNamespace(should_exit=False, force_exit=False, server_state=connections)
    async with serving(tmp_path, ScriptedEngine(slow), drain_seconds=20) as service:
        ending = Ending(server, service.edge, seconds=20)
        running = asyncio.create_task(service.chat(stream=True))
        await begun.wait()
        attend = lambda restarts, _: restarts.attend(ending.end, ending.leave)  # noqa: E731
        async with restarted(tmp_path, monkeypatch, attend) as following:
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: service.edge.draining and not alive(following))
            await asyncio.sleep(0.2)  # it has seen that, too
            assert not server.should_exit and not running.done()
            go.set()
            assert (await running)[2].endswith("data: [DONE]\n\n")
            await until(lambda: server.should_exit)
            assert not server.force_exit


async def test_its_gateways_are_told_once_and_again_only_if_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_COMMAND", (sys.executable, "-c", GATEWAY))
    told, ready = tmp_path / "told", asyncio.Event()
    running: list[asyncio.Task[None]] = []

    def attend(restarts: Restarts, listener: socket.socket) -> None:
        settings = Settings(home=str(tmp_path), processes=1)
        supervised = Supervisor(settings, listener, Gateways(), ready.set)
        running.append(asyncio.create_task(supervised.run()))
        restarts.attend(supervised.end, supervised.leave)

    async with restarted(tmp_path, monkeypatch, attend) as following:
        await ready.wait()
        await until((tmp_path / "left").exists)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: told.exists() and not alive(following))
        await asyncio.sleep(0.2)
        assert told.read_text() == "1"
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: told.read_text() == "2")
        (tmp_path / "whole").touch()
        async with asyncio.timeout(10):
            await running[0]


async def test_when_the_next_one_dies_it_ends_and_the_first_signal_does_not_hurry_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def attend(restarts: Restarts, _: socket.socket) -> None:
        restarts.attend(lambda: ended.append("end"), lambda: None)

    async with restarted(tmp_path, monkeypatch, attend) as following:
        os.kill(following, signal.SIGKILL)
        await until(lambda: ended == ["end"])
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert ended == ["end"]
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: ended == ["end", "end"])
