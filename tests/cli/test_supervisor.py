"""The supervisor over scripts in place of gateways; `e2e/test_processes.py` has the real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from antiphon.address import Address
from antiphon.cli import supervisor
from antiphon.cli.supervisor import Supervisor
from antiphon.pools.policy import Pace
from antiphon.pools.reports import Engines, Gateways, Report
from antiphon.settings import Settings
from until import until

QUICK = Pace(backoff=0.02, backoff_max=0.1)
PREAMBLE = """
import json, os, pathlib, signal, sys, time
post = json.loads(sys.stdin.buffer.raw.readline())
mark = pathlib.Path(post["settings"]["home"]) / f"{post['process']}-{os.getpid()}"
mark.write_text("started")
def ready(): print('{"ready": true, "busy": {"k": 1}}', flush=True)
"""
WAIT = PREAMBLE + "ready(); signal.pause()"
HEAR = (
    PREAMBLE
    + """
print("a stray line", flush=True)
ready()
for line in sys.stdin.buffer.raw:
    mark.write_text(line.decode())
"""
)
STUBBORN = (
    PREAMBLE
    + """
signal.signal(signal.SIGTERM, lambda *_: mark.write_text("told"))
ready()
while True: signal.pause()
"""
)
BROKEN = PREAMBLE + "sys.exit(3)"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


@pytest.fixture
def gateways() -> Gateways:
    return Gateways()


@pytest.fixture
def supervise(
    tmp_path: Path, listener: socket.socket, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A supervisor of `processes` scripts, told to end at the end of the block if it was not before."""

    @asynccontextmanager
    async def supervising(
        script: str, processes: int = 2, pace: Pace = QUICK
    ) -> AsyncIterator[tuple[Supervisor, asyncio.Event]]:
        monkeypatch.setattr(supervisor, "_COMMAND", (sys.executable, "-c", script))
        settings = Settings(home=str(tmp_path), processes=processes, drain_seconds=0.1)
        ready = asyncio.Event()
        supervised = Supervisor(settings, listener, gateways, ready.set, pace)
        running = asyncio.create_task(supervised.run())
        try:
            yield supervised, ready
        finally:
            supervised.end()
            async with asyncio.timeout(10):
                await running

    return supervising


def lives(home: Path, process: int) -> list[int]:
    """The process ids of those that have been a gateway, in the order of their starts."""
    marks = sorted(home.glob(f"{process}-*"), key=lambda mark: mark.stat().st_mtime_ns)
    return [int(mark.name.partition("-")[2]) for mark in marks]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_it_is_ready_when_all_are_and_ends_them_all(
    supervise: Callable[..., Any], tmp_path: Path
) -> None:
    async with supervise(WAIT, processes=3) as (_, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        pids = [pid for number in (1, 2, 3) for pid in lives(tmp_path, number)]
        assert len(pids) == 3 and all(map(alive, pids))
        assert all(os.getpgid(pid) == pid for pid in pids), "Ctrl-C in the terminal would reach them"
    assert not any(map(alive, pids))


async def test_one_that_is_killed_is_started_anew_and_the_other_stays(
    supervise: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervise(WAIT) as (_, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        [first] = lives(tmp_path, 1)
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(lives(tmp_path, 1)) == 2)
        assert len(lives(tmp_path, 2)) == 1
    assert "gateway 1 ended with -9" in caplog.text


async def test_one_that_cannot_start_is_tried_again_and_does_not_delay_the_end(
    supervise: Callable[..., Any], tmp_path: Path
) -> None:
    async with supervise(BROKEN, processes=1, pace=Pace(backoff=0.01, backoff_max=60.0)) as (_, ready):
        await until(lambda: len(lives(tmp_path, 1)) >= 3)
        assert not ready.is_set()
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_what_cannot_even_be_executed_is_tried_again(
    supervise: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervise(WAIT, processes=1) as (_, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        monkeypatch.setattr(supervisor, "_COMMAND", ("/nowhere/python",))
        os.kill(lives(tmp_path, 1)[0], signal.SIGKILL)
        await until(lambda: "No such file" in caplog.text)


async def test_a_second_request_to_end_is_passed_on_and_who_stays_is_killed(
    supervise: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_END_SECONDS", 0.5)
    async with supervise(STUBBORN, processes=1) as (supervised, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        [pid] = lives(tmp_path, 1)
        mark = tmp_path / f"1-{pid}"
        supervised.end()
        await until(lambda: mark.read_text() == "told")
        mark.write_text("")
        supervised.end()
        await until(lambda: mark.read_text() == "told")
    assert not alive(pid)


async def test_each_is_told_of_engines_and_says_what_it_uses(
    supervise: Callable[..., Any], tmp_path: Path, gateways: Gateways
) -> None:
    gateways.tell(Engines({"k": Report(Address(path="/run/a"), frozenset({"m"}))}))
    async with supervise(HEAR) as (_, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        marks = [tmp_path / f"{number}-{lives(tmp_path, number)[0]}" for number in (1, 2)]
        await until(lambda: all("/run/a" in mark.read_text() for mark in marks))
        gateways.tell(Engines({"k": Report(Address(host="h", port=1, secret="s"), frozenset({"m"}))}))
        await until(lambda: all('"port":1' in mark.read_text() for mark in marks))
        assert gateways.busy("k") == 2 and gateways.use("k")
        os.kill(lives(tmp_path, 1)[0], signal.SIGKILL)
        await until(lambda: len(lives(tmp_path, 1)) == 2 and gateways.busy("k") == 2)
    assert not gateways.use("k")


LEAVES = (
    PREAMBLE
    + """
def leave(*_):
    mark.write_text("left")
    sys.exit(0)
signal.signal(signal.SIGUSR1, leave)
mark.write_text(str(post["waits"]))
ready()
while True: signal.pause()
"""
)


async def test_all_of_them_make_way_and_none_is_started_anew(
    supervise: Callable[..., Any], tmp_path: Path
) -> None:
    async with supervise(LEAVES) as (supervised, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        marks = [tmp_path / f"{number}-{lives(tmp_path, number)[0]}" for number in (1, 2)]
        assert [mark.read_text() for mark in marks] == ["False", "False"]
        supervised.leave()
        await until(lambda: all(mark.read_text() == "left" for mark in marks))
        await until(lambda: not any(alive(pid) for number in (1, 2) for pid in lives(tmp_path, number)))
    assert [len(lives(tmp_path, number)) for number in (1, 2)] == [1, 1]
