"""The process that a server becomes: over scripts in the place of servers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from antiphon.cli import standing
from until import until

SERVER = """
import os, signal, sys
from pathlib import Path
from antiphon.cli import handover
from antiphon.errors import ConfigurationError
home = Path(sys.argv[1])
handed = handover.inherited()
handover.end_with(handed)
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
if (home / "bad").exists():
    handover.say(handed, ConfigurationError("it is bad", fix="x"))
    sys.exit(3)
handover.say(handed)
while True: signal.pause()
"""
LAUNCHER = """
import asyncio, fcntl, os, socket, sys
from pathlib import Path
from antiphon.cli import handover, standing
from antiphon.cli.handover import Handed
from antiphon.cli.restarts import Restarts
from antiphon.settings import Settings
home = Path(sys.argv[1])
lock = (home / standing.LOCK_NAME).open("wb")
fcntl.flock(lock, fcntl.LOCK_EX)
listener = socket.create_server(("127.0.0.1", 0))
handover.command = lambda: [sys.executable, str(home / "server.py"), str(home)]
restarts = Restarts(Settings(home=str(home), restart_seconds=30), None, listener.fileno(), lock.fileno())
restarts.begin()
async def go():
    left = asyncio.Event()
    restarts.attend(left.set, left.set)
    restarts.ready()
    await left.wait()
    await restarts.settle()
asyncio.run(go())
restarts.close()
"""


SLOW = """
import os, signal, sys, time
from pathlib import Path
from antiphon.cli import handover
home, told, left = Path(sys.argv[1]), [], []
def tell(*_):
    told.append(1)
    (home / f"told-{os.getpid()}").write_text(str(len(told)))
signal.signal(signal.SIGTERM, tell)
signal.signal(signal.SIGUSR1, lambda *_: left.append(1))
handed = handover.inherited()
handover.end_with(handed, lambda: bool(told))
handover.say(handed)
while not told or left and not (home / "whole").exists(): time.sleep(0.02)
os._exit(7)
"""
"""One that has a long request when it is left, which ends once there is a file."""


@asynccontextmanager
async def launched(home: Path, server: str = SERVER) -> AsyncIterator[asyncio.subprocess.Process]:
    (home / "server.py").write_text(server)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LAUNCHER, str(home))
    try:
        await until(lambda: (now := standing.read(home)) and not now.starting)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def asked(process: asyncio.subprocess.Process, home: Path, number: signal.Signals) -> standing.Standing:
    """How it stands after a restart."""
    before = standing.read(home)
    assert before is not None
    process.send_signal(number)
    await until(lambda: (now := standing.read(home)) and now.restarts > before.restarts, 30)
    after = standing.read(home)
    assert after is not None and after.restarts == before.restarts + 1 and not after.restarting
    return after


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_it_replaces_servers_and_ends_as_the_last_one_does(tmp_path: Path) -> None:
    async with launched(tmp_path) as process:
        first = await asked(process, tmp_path, signal.SIGHUP)
        assert first.pid == process.pid != first.server and alive(first.server)
        # It hears what comes while it becomes a guardian, too.
        second = await asked(process, tmp_path, signal.SIGHUP)
        assert second.server != first.server and alive(second.server)
        await until(lambda: not alive(first.server))

        (tmp_path / "bad").touch()
        third = await asked(process, tmp_path, signal.SIGHUP)
        assert third.problem == "it is bad" and third.server == second.server and alive(second.server)
        (tmp_path / "bad").unlink()

        fourth = await asked(process, tmp_path, signal.SIGUSR2)
        assert fourth.problem == "" and not alive(second.server)

        process.terminate()
        async with asyncio.timeout(10):
            assert await process.wait() == 7
        assert not alive(fourth.server) and standing.read(tmp_path) is None
        assert not (tmp_path / standing.FILE_NAME).exists()


async def test_it_ends_when_the_server_dies_and_no_server_outlives_it(tmp_path: Path) -> None:
    async with launched(tmp_path) as process:
        now = await asked(process, tmp_path, signal.SIGHUP)
        os.kill(now.server, signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await process.wait() != 0
    async with launched(tmp_path) as process:
        now = await asked(process, tmp_path, signal.SIGHUP)
        process.kill()
        await until(lambda: not alive(now.server))


async def test_a_paused_restart_without_a_new_server_ends_it(tmp_path: Path) -> None:
    async with launched(tmp_path) as process:
        await asked(process, tmp_path, signal.SIGHUP)
        await until(lambda: b"antiphon.cli.guardian" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
        (tmp_path / "bad").touch()
        process.send_signal(signal.SIGUSR2)
        async with asyncio.timeout(20):
            assert await process.wait() != 0


async def test_servers_before_the_last_restart_are_told_once_to_end_and_waited_for(tmp_path: Path) -> None:
    async with launched(tmp_path, SLOW) as process:
        first = await asked(process, tmp_path, signal.SIGHUP)
        second = await asked(process, tmp_path, signal.SIGHUP)
        assert alive(first.server), "its last request is not over"
        process.terminate()
        await until(lambda: not alive(second.server))
        told = tmp_path / f"told-{first.server}"
        await until(told.exists)
        await asyncio.sleep(0.5)
        assert told.read_text() == "1" and alive(first.server) and process.returncode is None
        (tmp_path / "whole").touch()
        async with asyncio.timeout(10):
            assert await process.wait() == 7
        assert not alive(first.server) and told.read_text() == "1"


async def test_when_the_server_dies_those_before_it_may_end_their_requests(tmp_path: Path) -> None:
    async with launched(tmp_path, SLOW) as process:
        first = await asked(process, tmp_path, signal.SIGHUP)
        second = await asked(process, tmp_path, signal.SIGHUP)
        os.kill(second.server, signal.SIGKILL)
        told = tmp_path / f"told-{first.server}"
        await until(told.exists)
        process.terminate()
        await asyncio.sleep(0.5)
        assert told.read_text() == "1", "it is the first time that all were told to end"
        (tmp_path / "whole").touch()
        async with asyncio.timeout(10):
            assert await process.wait() == 128 + signal.SIGKILL
        assert not alive(first.server)
