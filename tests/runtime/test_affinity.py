"""Processors of engines, with real processes: what is reserved is nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from antiphon.runtime.affinity import Affinity

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
THREADED = """
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print(flush=True)
time.sleep(60)
"""


@contextmanager
def process() -> Iterator[int]:
    """A process of two threads that leads a group of its own."""
    command = [sys.executable, "-c", THREADED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started.pid
        started.kill()


def where(pid: int) -> set[frozenset[int]]:
    """The processors of each thread."""
    return {frozenset(os.sched_getaffinity(int(thread))) for thread in os.listdir(f"/proc/{pid}/task")}


ALL = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset[int]()
several = pytest.mark.skipif(len(ALL) < 2, reason="there is one processor alone")


@several
def test_what_is_reserved_is_nobody_elses() -> None:
    affinity = Affinity()
    with process() as shared, process() as own, process() as later:
        affinity.started(shared, 0)
        assert where(shared) == {ALL}
        affinity.started(own, 1000)
        affinity.started(later, 0)
        [mine] = where(own)
        assert len(mine) == 1
        assert where(shared) == where(later) == {ALL - mine}
        affinity.ended(own)
        assert where(shared) == where(later) == {ALL}


@several
def test_what_finds_none_free_gets_them_later() -> None:
    affinity = Affinity()
    with process() as first, process() as second, process() as shared:
        affinity.started(first, 1000 * len(ALL))
        affinity.started(shared, 500)
        affinity.started(second, 1000)
        assert where(first) == where(shared) == where(second) == {ALL}  # none is left for the others
        affinity.ended(first)
        [mine] = where(second)
        assert len(mine) == 1 and where(shared) == {ALL - mine}


def test_a_process_that_is_gone_is_no_matter() -> None:
    affinity = Affinity()
    with process() as gone:
        pass
    affinity.started(gone, 1000)
    affinity.ended(gone)
    affinity.ended(gone)
