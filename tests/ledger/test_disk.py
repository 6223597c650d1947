"""The real disk: private, locked folders of files that only grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.ledger.disk import RealDisk, WriterThread

HOLDER = """
import sys
from pathlib import Path
from antiphon.ledger.disk import RealDisk
RealDisk(Path(sys.argv[1])).create("epoch_a")
print("held", flush=True)
sys.stdin.read()
"""


def test_there_are_no_folders_at_first(tmp_path: Path) -> None:
    assert RealDisk(tmp_path / "journal").folders() == []


def test_a_file_grows_is_read_cut_and_removed(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "journal")
    disk.create("epoch_a")
    disk.append("epoch_a", "00000001", b"one")
    disk.append("epoch_a", "00000001", b"two")
    disk.append("epoch_a", "00000002", b"three")
    disk.sync("epoch_a", "00000001")
    assert disk.folders() == ["epoch_a"]
    assert disk.files("epoch_a") == ["00000001", "00000002"]
    assert disk.read("epoch_a", "00000001") == b"onetwo"
    disk.truncate("epoch_a", "00000001", 4)
    disk.append("epoch_a", "00000001", b"!")
    assert disk.read("epoch_a", "00000001") == b"onet!"
    disk.remove("epoch_a", "00000001")
    assert disk.files("epoch_a") == ["00000002"]


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    disk = RealDisk(root)
    disk.create("epoch_a")
    disk.append("epoch_a", "00000001", b"one")
    modes = [path.stat().st_mode & 0o777 for path in (root, root / "epoch_a", root / "epoch_a" / "00000001")]
    assert modes == [0o700, 0o700, 0o600]


def test_a_folder_is_dropped_with_all_it_holds(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "journal")
    for name in ("epoch_a", "epoch_b"):
        disk.create(name)
        disk.append(name, "00000001", b"one")
    disk.drop("epoch_a")
    assert disk.folders() == ["epoch_b"] and disk.files("epoch_a") == []
    disk.append("epoch_b", "00000001", b"two")
    assert disk.read("epoch_b", "00000001") == b"onetwo"


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    mine, other = RealDisk(root), RealDisk(root)
    mine.create("epoch_a")
    assert not mine.lock("epoch_a") and not other.lock("epoch_a")
    mine.release("epoch_a")
    assert other.lock("epoch_a") and not mine.lock("epoch_a")
    other.drop("epoch_a")
    assert not mine.lock("epoch_a"), "it is gone"


def test_a_folder_that_was_half_dropped_can_be_taken(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    (tmp_path / "epoch_a").mkdir()
    assert disk.lock("epoch_a") and disk.files("epoch_a") == []
    disk.drop("epoch_a")
    assert disk.folders() == []


def test_the_folder_of_a_killed_process_is_free(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    command = [sys.executable, "-c", HOLDER, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not RealDisk(root).lock("epoch_a")
        holder.kill()
        holder.wait(10)
        assert RealDisk(root).lock("epoch_a")


def test_a_disk_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "journal")
    disk.create("epoch_a")
    disk.drop("epoch_a")
    with pytest.raises(OSError):
        disk.append("epoch_a", "00000001", b"one")


def test_a_file_that_could_not_be_made_needs_no_cutting(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "journal")
    disk.create("epoch_a")
    disk.truncate("epoch_a", "00000001", 0)
    assert disk.files("epoch_a") == []


async def test_the_writer_thread_does_one_thing_after_the_other() -> None:
    thread = WriterThread()
    done: list[int] = []
    waits = [thread(lambda number=number: done.append(number)) for number in range(10)]  # type: ignore[misc]
    for wait in waits:
        await wait
    assert done == list(range(10))
    thread.close()
