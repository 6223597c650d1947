from __future__ import annotations

import os
from pathlib import Path

from antiphon.cli import room

KIB = 1024


def machine(root: Path, free: int, processes: dict[int, tuple[int, int]]) -> Path:
    """A `/proc` with so many KiB free, and processes with their parents and the KiB that they have."""
    proc = root / "proc"
    proc.mkdir()
    (proc / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {free} kB\n")
    for pid, (parent, size) in processes.items():
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "stat").write_text(f"{pid} (a) b) S {parent} 1 1\n")
        (proc / str(pid) / "status").write_text(f"Name: x\nRssAnon:\t{size} kB\nRssFile: 99999 kB\n")
    return proc


def test_what_all_of_a_server_have_for_themselves_has_to_fit_again(tmp_path: Path) -> None:
    proc = machine(tmp_path, 1000, {10: (1, 100), 11: (10, 400), 12: (11, 600), 13: (1, 5000)})
    group = tmp_path / "group"
    assert room.taken(10, proc) == 1100 * KIB
    assert room.lacking(10, proc, group) == 100 * KIB
    assert room.lacking(11, proc, group) == 0
    group.mkdir()
    (group / "memory.current").write_text("0")
    (group / "memory.max").write_text("max")
    assert room.lacking(11, proc, group) == 0
    (group / "memory.max").write_text(str(900 * KIB))
    assert room.lacking(11, proc, group) == 100 * KIB
    assert "1 MiB are missing" in room.told(room.lacking(11, proc, group))


def test_where_the_system_does_not_tell_there_is_room(tmp_path: Path) -> None:
    assert room.lacking(1, tmp_path / "none", tmp_path) == 0


def test_this_process_takes_memory() -> None:
    assert room.taken(os.getpid()) > 1_000_000
    assert (room.available() or 1) > 0
