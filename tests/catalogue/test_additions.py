"""What is added to the operator's models.toml changes nothing of what is there, or is not added."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.catalogue.additions import append
from antiphon.catalogue.store import ModelStore
from antiphon.errors import ConfigurationError

ALIAS = '[aliases."a"]\nsnapshot = "whisper-base-2022-09-21"\n'


def test_it_stands_behind_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    append(path, ALIAS, ModelStore(tmp_path))
    assert path.read_text() == ALIAS
    append(path, ALIAS.replace('"a"', '"b"'), ModelStore(tmp_path))
    assert path.read_text().startswith(ALIAS)
    assert [file.name for file in tmp_path.iterdir()] == ["models.toml"]


@pytest.mark.parametrize("tables", [ALIAS, "no toml", '[aliases."b"]\nsnapshot = "none"\n'])
def test_what_the_catalogue_cannot_read_is_not_added(tmp_path: Path, tables: str) -> None:
    path = tmp_path / "models.toml"
    append(path, ALIAS, ModelStore(tmp_path))
    with pytest.raises(ConfigurationError):
        append(path, tables, ModelStore(tmp_path))
    assert path.read_text() == ALIAS


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        append(tmp_path / "none" / "models.toml", ALIAS, ModelStore(tmp_path))
