"""What processes hold, of real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from antiphon.runtime.memory import held

SIZE = 64 * 2**20
HOLDS = f"held = b'x' * {SIZE}; "
TELLS = "print(flush=True); input()"


@contextmanager
def running(code: str, *arguments: str) -> Iterator[int]:
    """A process whose code has come to its last line."""
    with subprocess.Popen(
        [sys.executable, "-c", code + TELLS, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate(b"\n")
    assert held(process.pid) is None


def of(pid: int) -> int:
    found = held(pid)
    assert found is not None
    return found


def test_what_a_process_holds() -> None:
    with running("") as small, running(HOLDS) as large:
        assert SIZE <= of(large) - of(small) < 1.2 * SIZE


def test_what_it_started_counts() -> None:
    child = (
        "import subprocess, sys, threading; "
        f"code = 'held = b\\'x\\' * {SIZE}; print(flush=True); input()'; "
        "start = lambda: started.append(subprocess.Popen([sys.executable, '-c', code], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE)); started = []; "
        "thread = threading.Thread(target=start); thread.start(); thread.join(); "
        "started[0].stdout.readline(); "
    )
    with running(HOLDS + child) as both:
        assert 2 * SIZE <= of(both) < 2.8 * SIZE


def test_what_is_mapped_from_a_file_does_not(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"x" * SIZE)
    mapped = (
        "import mmap, sys; file = open(sys.argv[1], 'rb'); "
        "held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ); "
        "sum(held[at] for at in range(0, len(held), 4096)); "
    )
    with running("") as small, running(mapped, str(model)) as large:
        assert of(large) - of(small) < SIZE / 2


def test_where_nothing_tells(tmp_path: Path) -> None:
    assert held(os.getpid(), tmp_path) is None
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "statm").write_text("10 5 2 1 0 3 0\n")
    assert held(7, tmp_path) == 3 * os.sysconf("SC_PAGE_SIZE"), "no list of children"
