"""Where the data folder is, and what its file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.errors import ConfigurationError
from antiphon.home import FILE_NAME, home_folder, said


def test_the_flag_goes_before_the_environment_and_that_before_the_usual_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    both = {"ANTIPHON_HOME": "/environment"}
    assert home_folder({"home": "flag"}, both) == tmp_path / "flag"
    assert home_folder({"home": None}, both) == Path("/environment")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert home_folder({}, {}) == Path("/data/antiphon")


def test_what_the_file_says(tmp_path: Path) -> None:
    assert said(tmp_path, {"port"}) == {}
    (tmp_path / FILE_NAME).write_text("port = 1\n")
    assert said(tmp_path, {"port"}) == {"port": 1}
    with pytest.raises(ConfigurationError, match="no setting 'port'"):
        said(tmp_path, {"host"})
    (tmp_path / FILE_NAME).write_bytes(b"port = '\xff'")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        said(tmp_path, {"port"})
