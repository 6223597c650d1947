"""A folder of recordings: whole files for their owner alone, and none of a day that is over."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.errors import StorageFull
from antiphon.privacy.places import FOLDER, Folder, Missing
from antiphon.privacy.sealing import Unreadable


def files(home: Path) -> list[str]:
    return sorted(
        str(path.relative_to(home / FOLDER)) for path in (home / FOLDER).rglob("*") if path.is_file()
    )


def test_what_is_put_is_there_until_it_is_deleted(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.put("2026-11-28/one", [b"a", b"bc"])
    assert b"".join(place.pieces("2026-11-28/one")) == b"abc"
    assert (tmp_path / FOLDER / "2026-11-28").stat().st_mode & 0o777 == 0o700
    for _ in range(2):
        place.delete(["2026-11-28/one", "2026-11-28/two"])
    with pytest.raises(Missing):
        place.pieces("2026-11-28/one")


def test_half_a_file_is_none(tmp_path: Path) -> None:
    def broken(problem: Exception) -> Iterator[bytes]:
        yield b"a"
        raise problem

    place = Folder(tmp_path)
    for problem, kind in (
        (OSError(errno.ENOSPC, "full"), StorageFull),
        (OSError(errno.EIO, "broken"), OSError),
        (Unreadable("changed"), Unreadable),
    ):
        with pytest.raises(kind):
            place.put("2026-11-28/one", broken(problem))
    assert files(tmp_path) == []


def test_a_sweep_takes_what_is_of_days_before(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.sweep("2026-11-28")  # nothing was ever kept
    for day in ("2026-11-26", "2026-11-27", "2026-11-28"):
        place.put(f"{day}/one", [b"a"])
    for _ in range(2):
        place.sweep("2026-11-28")
    assert files(tmp_path) == ["2026-11-28/one"]


def test_a_sweep_leaves_alone_what_is_no_day(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.put("2026-11-27/one", [b"a"])
    place.put("2026-1/one", [b"a"])
    for name in (".DS_Store", "2026-11-26"):
        (tmp_path / FOLDER / name).write_bytes(b"a")  # a file, though it may be called as a day is
    place.sweep("2026-11-28")
    assert files(tmp_path) == [".DS_Store", "2026-1/one", "2026-11-26"]
