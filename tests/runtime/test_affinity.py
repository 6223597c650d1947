"""Which processors engine processes run on: with real processes, on the processors that this test has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from antiphon.runtime.affinity import Affinity
from antiphon.runtime.local import LocalRuntime
from antiphon.values import Capacity

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="there are no processors to deal out",
)

ALL = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
SLEEPER = """
import subprocess, sys, threading, time
threads = [threading.Thread(target=time.sleep, args=(60,), daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
"""An engine with threads, and a process of its own."""

Start = Callable[[], tuple[int, int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that leads a group; its id and that of its child."""
    running: list[subprocess.Popen[bytes]] = []

    def started() -> tuple[int, int]:
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, start_new_session=True
        )
        running.append(process)
        assert process.stdout is not None
        return process.pid, int(process.stdout.readline())

    yield started
    for process in running:
        os.killpg(process.pid, 9)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def where(*pids: int) -> set[frozenset[int]]:
    """On which processors all threads of some processes may run."""
    threads = [int(name) for pid in pids for name in os.listdir(f"/proc/{pid}/task")]
    assert len(threads) >= len(pids)
    return {frozenset(os.sched_getaffinity(thread)) for thread in threads}


def test_a_whole_processor_is_the_one_engines_alone(start: Start) -> None:
    affinity = Affinity()
    shared, reserved, late = start(), start(), start()
    affinity.started(shared[0], 0)
    assert where(*shared) == {ALL}
    affinity.started(reserved[0], 1000)
    [one] = where(*reserved)
    assert len(one) == 1 and affinity.rest == ALL - one
    assert where(*shared) == {ALL - one}, "its threads and processes, too"
    affinity.started(late[0], 0)
    assert os.sched_getaffinity(late[0]) == ALL - one
    affinity.ended(reserved[0])
    assert where(*shared) == {ALL} and affinity.rest == ALL


def test_parts_of_a_processor_are_nobodys_alone(start: Start) -> None:
    affinity = Affinity()
    pid, _ = start()
    affinity.started(pid, 999)
    assert where(pid) == {ALL} and affinity.rest == ALL


def test_the_last_processor_is_everybodys(start: Start) -> None:
    affinity = Affinity()
    engines = [start() for _ in range(len(ALL))]
    for pid, _ in engines:
        affinity.started(pid, 1000)
    alone = [where(*pids) for pids in engines[:-1]]
    assert len({next(iter(one)) for one in alone}) == len(ALL) - 1
    assert all(len(one) == 1 and len(next(iter(one))) == 1 for one in alone)
    assert os.sched_getaffinity(engines[-1][0]) == affinity.rest and len(affinity.rest) == 1
    greedy, _ = start()
    affinity.started(greedy, 1000 * len(ALL))
    assert os.sched_getaffinity(greedy) == affinity.rest


def test_a_successor_gets_its_processor_when_the_one_before_ends(start: Start) -> None:
    affinity = Affinity()
    before, after, shared = start(), start(), start()
    whole = 1000 * (len(ALL) - 1)
    affinity.started(before[0], whole)
    affinity.started(shared[0], 0)
    affinity.started(after[0], whole)
    assert os.sched_getaffinity(after[0]) == affinity.rest
    affinity.ended(before[0])
    assert where(*after) == {ALL - affinity.rest} and where(*shared) == {affinity.rest}


def test_the_end_of_what_has_none_changes_nothing(start: Start) -> None:
    affinity = Affinity()
    pid, _ = start()
    affinity.started(pid, 0)
    affinity.ended(pid)
    affinity.ended(pid)
    affinity.ended(1 << 30)
    assert affinity.rest == ALL


def test_what_has_ended_already_is_no_failure(start: Start) -> None:
    affinity = Affinity()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    affinity.started(gone.pid, 1000)
    assert len(affinity.rest) == len(ALL) - 1
    affinity.ended(gone.pid)
    assert affinity.rest == ALL


async def test_the_local_runtime_reserves_what_is_needed(tmp_path: Path) -> None:
    runtime = LocalRuntime(tmp_path / "run", tmp_path / "logs")
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    shared = await runtime.start("shared", lambda address: sleeping)
    own = await runtime.start("own", lambda address: sleeping, Capacity(cpus=1000, memory=2**30))
    assert len(os.sched_getaffinity(own.pid)) == 1
    assert not os.sched_getaffinity(own.pid) & os.sched_getaffinity(shared.pid)
    assert frozenset(os.sched_getaffinity(0)) == ALL, "the gateway itself runs everywhere"
    await own.stop(0)
    assert os.sched_getaffinity(shared.pid) == ALL
    await shared.stop(0)
