from __future__ import annotations

import os
from pathlib import Path

import pytest

from antiphon.runtime.log import ProcessLog


def test_a_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    log = ProcessLog(path, max_bytes=1000)
    writer = os.dup(log.writer)
    log.started()
    for number in range(500):
        os.write(writer, b"line %04d\n" % number)
    os.close(writer)
    log.join(5)
    older = tmp_path / "engine.log.1"
    assert path.read_bytes().endswith(b"line 0499\n")
    assert path.stat().st_size <= 1000
    assert older.stat().st_size <= 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["engine.log", "engine.log.1"]


def test_a_new_process_continues_the_log(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    for word in (b"first ", b"second"):
        log = ProcessLog(path)
        os.write(log.writer, word)
        log.started()
        log.join(5)
    assert path.read_bytes() == b"first second"


@pytest.mark.fault("the disk of logs is full")
def test_output_is_read_even_when_it_cannot_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.mkdir()
    log = ProcessLog(path)
    for _ in range(64):
        os.write(log.writer, b"x" * 64 * 1024)  # would block for ever on a full pipe
    log.started()
    log.join(5)
    assert list(tmp_path.iterdir()) == [path]
