from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError, StorageFull
from antiphon.storage.files import create_once, wipe


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "home" / "secret"
    create_once(path, b"x")
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    create_once(path, b"first")
    create_once(path, b"second")
    assert path.read_bytes() == b"first"


def test_many_at_once_agree_on_one_whole_file_and_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: create_once(path, bytes([n]) * 32), range(16)))
    assert len(set(path.read_bytes())) == 1 and len(path.read_bytes()) == 32
    assert os.listdir(tmp_path) == ["secret"]


def test_the_loser_of_a_race_keeps_the_winners_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"winner")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    create_once(path, b"loser")
    assert path.read_bytes() == b"winner"
    assert os.listdir(tmp_path) == ["secret"]


def test_a_folder_that_cannot_be_made_is_a_configuration_error_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as caught:
        create_once(tmp_path / "file" / "secret")
    assert "file/secret" in caught.value.message and caught.value.fix


def test_a_full_disk_is_told_as_such_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        create_once(tmp_path / "secret", b"x")
    assert os.listdir(tmp_path) == []


def test_of_what_is_wiped_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * 3_000_000)
    with path.open("rb") as before:
        wipe(path)
        assert before.read() == bytes(3_000_000)
    assert not path.exists()
