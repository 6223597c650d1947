"""The table of settings: where values come from, which wins, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from antiphon import settings
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings


def load(home: Path, flags: dict[str, str] | None = None, **environment: str) -> Settings:
    return settings.load(flags, {"ANTIPHON_HOME": str(home), **environment})


def test_the_later_source_wins(tmp_path: Path) -> None:
    assert load(tmp_path).port == 8000
    (tmp_path / "antiphon.toml").write_text("port = 1\n")
    assert load(tmp_path).port == 1
    assert load(tmp_path, ANTIPHON_PORT="2").port == 2
    assert load(tmp_path, {"port": "3"}, ANTIPHON_PORT="2").port == 3


def test_home_is_absolute_and_holds_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings.load({"home": "data"}, {})
    assert found.home_path == tmp_path / "data"
    assert found.database_url == f"sqlite+aiosqlite:///{tmp_path}/data/antiphon.db"
    assert load(tmp_path, ANTIPHON_DATABASE="sqlite+aiosqlite:////x").database_url == "sqlite+aiosqlite:////x"


def test_without_a_home_there_is_a_usual_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert settings.load({}, {}).home == "/data/antiphon"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/kim")
    assert settings.load({}, {}).home == "/home/kim/.local/share/antiphon"


def test_the_table_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        load(tmp_path).port = 1  # type: ignore[misc]


@pytest.mark.parametrize("row", settings.rows(), ids=lambda row: row.name)
def test_every_setting_has_a_help_and_refuses_nonsense(row: settings.Row, tmp_path: Path) -> None:
    assert row.help and row.help[0].isupper() and not row.help.endswith(".")
    assert row.environment == "ANTIPHON_" + row.name.upper()
    names = ("moderation_scorers", "moderation_model", "moderation_key_file")
    names += ("oidc_client", "oidc_secret_file", "oidc_name")
    if row.name in ("home", "host", "database", "content_keys", "vllm_command", "ray_address", *names):
        return
    for wrong in ("nonsense", "-1"):
        with pytest.raises(ConfigurationError) as refusal:
            settings.load({"home": str(tmp_path), row.name: wrong}, {})
        assert row.flag in refusal.value.message and row.name in refusal.value.fix
    with pytest.raises(ConfigurationError, match=row.environment):
        settings.load({"home": str(tmp_path)}, {row.environment: "nonsense"})


def test_a_file_that_cannot_be_understood(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.toml"
    for content, told in (
        ("port = [", "cannot be read"),
        ("speed = 1", "no setting 'speed'"),
        ("port = 'a'", "port"),
    ):
        file.write_text(content)
        with pytest.raises(ConfigurationError, match=told) as refusal:
            load(tmp_path)
        assert str(file) in refusal.value.message and refusal.value.fix


def test_defaults_are_valid() -> None:
    for row in settings.rows():
        assert msgspec.convert(row.default, row.kind) == row.default
