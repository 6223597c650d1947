from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from antiphon.access.pepper import load_pepper
from antiphon.errors import ConfigurationError


def test_it_is_made_once_and_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    pepper = load_pepper(home)
    assert len(pepper) == 32 and pepper == load_pepper(home)
    assert (home / "pepper").stat().st_mode & 0o777 == 0o600


def test_two_installations_have_different_ones(tmp_path: Path) -> None:
    assert load_pepper(tmp_path / "a") != load_pepper(tmp_path / "b")


def test_all_who_start_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: load_pepper(tmp_path), range(16)))) == 1


def test_a_damaged_one_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="5 bytes") as caught:
        load_pepper(tmp_path)
    assert "backup" in caught.value.fix


def test_one_that_cannot_be_read_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "pepper").mkdir()
    with pytest.raises(ConfigurationError, match="pepper cannot be read") as caught:
        load_pepper(tmp_path)
    assert caught.value.fix
