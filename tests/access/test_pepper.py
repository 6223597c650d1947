from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from antiphon.access.pepper import check_pepper, load_pepper
from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database


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


async def test_the_first_to_come_says_which_pepper_counts(database: Database) -> None:
    mine, other = bytes(32), bytes(range(32))
    peppers = [mine] * 4 + [other] * 4
    checked = await asyncio.gather(*(check_pepper(database, one) for one in peppers), return_exceptions=True)
    refused = [isinstance(problem, ConfigurationError) for problem in checked if problem is not None]
    assert len(refused) == 4 and all(refused)
    assert len({checked[at] is None for at in range(4)}) == 1
    winner, loser = (mine, other) if checked[0] is None else (other, mine)
    await check_pepper(database, winner)
    with pytest.raises(ConfigurationError) as caught:
        await check_pepper(database, loser)
    assert "copy the file `pepper`" in caught.value.fix
