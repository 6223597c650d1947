"""Servers that take over, as small scripts; `paced/test_restart.py` has whole ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.cli import handover
from antiphon.cli.handover import Handed, NotReady
from antiphon.cli.serve import _handed_on
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from until import until

BEGIN = """
import os, signal, sys, time
from antiphon.cli import handover
from antiphon.errors import ConfigurationError
handed = handover.inherited()
handover.end_with(handed)
"""
READY = BEGIN + "handover.say(handed)\nsignal.pause()"
PROBLEM = BEGIN + "handover.say(handed, ConfigurationError('it is bad', fix='x')); time.sleep(60)"
UNEXPECTED = BEGIN + "handover.say(handed, ValueError('sk-secret')); sys.exit(1)"
ENDS = BEGIN + "sys.exit(3)"
SILENT = BEGIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, (tmp_path / "lock").open("wb") as lock:
        yield listener.fileno(), lock.fileno()


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


async def test_one_that_is_ready_goes_on_until_it_is_left_alone(descriptors: tuple[int, int]) -> None:
    successor = handover.start(script(READY), *descriptors)
    word = await successor.ready(30)
    assert word.problem == "" and word.version
    # Whoever started it is gone: it ends as by SIGTERM, which this one does not catch.
    successor.line.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(10):
        assert await successor.ended() == -signal.SIGTERM
        assert await successor.ended() == -signal.SIGTERM


async def test_it_has_the_socket_and_the_lock(descriptors: tuple[int, int], tmp_path: Path) -> None:
    told = (
        BEGIN + "print(handed.listener, handed.lock, os.environ.get(handover.ENVIRONMENT), file=sys.stderr)\n"
    )
    text = (
        told
        + f"open({str(tmp_path / 'told')!r}, 'w').write(str([os.path.samestat(os.fstat(handed.lock), \
os.stat({str(tmp_path / 'lock')!r})), os.get_inheritable(handed.listener)]))\nhandover.say(handed)"
    )
    successor = handover.start(script(text), *descriptors)
    await successor.ready(30)
    await successor.ended()
    assert (tmp_path / "told").read_text() == "[True, False]"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PROBLEM, "^it is bad$"),
        (UNEXPECTED, "^unexpected ValueError$"),
        (ENDS, "ended with exit code 3"),
        (SILENT, "was not ready within 2 s"),
    ],
)
async def test_one_that_is_not_ready_is_ended_and_says_why(
    descriptors: tuple[int, int], text: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "KILL_SECONDS", 0.2)
    successor = handover.start(script(text), *descriptors)
    with pytest.raises(NotReady, match=why):
        await successor.ready(2 if text == SILENT else 30)
    with pytest.raises(ProcessLookupError):
        os.kill(successor.pid, 0)


COUNTING = """
import os, signal, sys
from pathlib import Path
from antiphon.cli import handover
handed, told = handover.inherited(), []
def tell(*_):
    told.append(1)
    Path(sys.argv[1]).write_text(str(len(told)))
signal.signal(signal.SIGTERM, tell)
handover.end_with(handed, lambda: bool(told))
handover.say(handed)
while True: signal.pause()
"""


async def test_who_was_told_to_end_is_not_told_again_by_the_end_of_its_parent(
    descriptors: tuple[int, int], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    successor = handover.start([*script(COUNTING), str(count)], *descriptors)
    await successor.ready(30)
    successor.send(signal.SIGTERM)
    await until(lambda: count.exists() and count.read_text() == "1")
    successor.line.shutdown(socket.SHUT_WR)
    await asyncio.sleep(0.5)
    assert count.read_text() == "1"
    successor.send(signal.SIGKILL)
    assert await successor.ended() == -signal.SIGKILL
    successor.send(signal.SIGTERM)  # nobody's number any more: it is nobody's signal


async def test_who_is_seen_off_is_told_once_and_killed_in_the_end(
    descriptors: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "END_SECONDS", 0.5)
    counts = [tmp_path / "a", tmp_path / "b"]
    both = [handover.start([*script(COUNTING), str(count)], *descriptors) for count in counts]
    for one in both:
        await one.ready(30)
    both[0].send(signal.SIGTERM)
    await until(lambda: counts[0].exists())
    async with asyncio.timeout(10):
        await handover.see_off(both, 0.1)
    assert [count.read_text() for count in counts] == ["1", "1"] and all(one.over for one in both)


def test_what_cannot_be_run_is_told(descriptors: tuple[int, int]) -> None:
    with pytest.raises(NotReady, match="/nowhere cannot be run: No such file"):
        handover.start(["/nowhere"], *descriptors)


def test_nothing_is_inherited_by_one_that_starts_afresh() -> None:
    assert handover.inherited({}) is None
    with socket.socket() as one:
        os.set_inheritable(one.fileno(), True)
        environment = {handover.ENVIRONMENT: json.dumps({"listener": one.fileno(), "lock": one.fileno()})}
        assert handover.inherited(environment) == Handed(one.fileno(), one.fileno())
        assert environment == {} and not os.get_inheritable(one.fileno())


def test_the_command_is_the_one_that_started_this(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "antiphon"
    program.write_text("")
    monkeypatch.setattr(sys, "argv", [str(program), "serve"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "antiphon", "serve"])
    assert handover.command() == [sys.executable, "-m", "antiphon", "serve"]
    program.chmod(0o755)
    assert handover.command() == [str(program), "serve"]


def test_an_address_cannot_be_changed_by_a_restart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for host, wanted in (("127.0.0.1", port), ("localhost", 0)):
            with _handed_on(Settings(host=host, port=wanted), Handed(os.dup(listener.fileno()), 0)) as same:
                assert same.getsockname() == listener.getsockname()
        for settings in (Settings(port=port - 1), Settings(host="0.0.0.0", port=port)):
            with pytest.raises(ConfigurationError, match=f"goes on with the address 127.0.0.1 port {port}"):
                _handed_on(settings, Handed(os.dup(listener.fileno()), 0))
