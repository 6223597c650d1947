"""What `make check` says of locks and of what is installed: of ours nothing, of others what is wrong."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.version import Version

from supply import checks
from supply.checks import Floor, Pth
from supply.locks import FOLDER, Locked, Unreadable, read_all

FLOOR = Floor("starlette", Version("1.3.1"), "why", ())
LISTED = [Pth("a1_coverage.pth", "coverage")]


def locked(name: str, version: str) -> Locked:
    return Locked(name, Version(version), ("0" * 64,))


def installed(folder: Path, name: str, *files: str, version: str = "1") -> Sequence[Distribution]:
    """What is installed in a folder, this package added."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:
        (folder / file).write_text("import os\n")
    return list(distributions(path=[str(folder)]))


def test_the_locks_of_the_checkout_keep_to_the_floors() -> None:
    floors, _ = checks.read_floors()
    assert list(checks.below(floors, read_all())) == []
    assert list(checks.cool_down()) == []


def test_security_md_shows_the_floors() -> None:
    floors, _ = checks.read_floors()
    section = (FOLDER.parent / "SECURITY.md").read_text().partition("## Floors")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| (.+) \|$", section, re.MULTILINE)
    wanted = [
        (one.package, str(one.version), one.why + "".join(f" ({id})" for id in one.advisories))
        for one in floors
    ]
    assert rows == wanted


@pytest.mark.parametrize(
    ("version", "wrong"), [("1.3.0", True), ("1.3.1rc1", True), ("1.3.1", False), ("1.10", False)]
)
def test_every_version_in_every_lock_is_held_to_its_floor(version: str, wrong: bool) -> None:
    locks = {"a": [locked("starlette", "2")], "b": [locked("starlette", "2"), locked("starlette", version)]}
    said = list(checks.below([FLOOR], locks))
    assert said == ([f"b.txt locks starlette {version}, below 1.3.1: why"] if wrong else [])


def test_a_floor_of_what_nobody_locks_is_told() -> None:
    assert list(checks.below([FLOOR], {"a": [locked("other", "1")]})) == [
        "starlette has a floor, and no lock holds it"
    ]


def test_what_is_installed_is_held_to_the_floors(tmp_path: Path) -> None:
    there = installed(tmp_path, "Starlette", version="1.0")
    assert list(checks.installed_below([FLOOR], there)) == ["starlette 1.0 is installed, below 1.3.1: why"]
    assert list(checks.installed_below([FLOOR], installed(tmp_path / "b", "starlette", version="1.4"))) == []


def test_r6_a_listed_pth_file_may_be_there_and_no_other(tmp_path: Path) -> None:
    there = installed(tmp_path, "coverage", "a1_coverage.pth", "coverage.py")
    assert list(checks.unlisted(LISTED, there, [tmp_path])) == []
    there = installed(tmp_path, "litellm", "litellm_init.pth", "a1_coverage.pth")
    assert list(checks.unlisted(LISTED, there, [tmp_path])) == [
        "litellm brings a1_coverage.pth, which is not listed",
        "litellm brings litellm_init.pth, which is not listed",
    ]


@pytest.mark.parametrize("name", ["evil.pth", "sitecustomize.py", "usercustomize.py"])
def test_r6_what_belongs_to_no_package_is_told(tmp_path: Path, name: str) -> None:
    there = installed(tmp_path, "coverage", "a1_coverage.pth")
    (tmp_path / name).write_text("")
    said = f"{name} lies among the installed packages, and belongs to none"
    assert list(checks.unlisted(LISTED, there, [tmp_path])) == [said]
    assert list(checks.unlisted(LISTED, installed(tmp_path, "bad", name), [tmp_path])) == [
        f"bad brings {name}, which is not listed"
    ]


def test_r6_nothing_to_see_is_no_good_news(tmp_path: Path) -> None:
    assert len(list(checks.unlisted(LISTED, [], [tmp_path]))) == 1
    there = installed(tmp_path, "coverage")
    assert list(checks.unlisted(LISTED, there, [tmp_path / "none"])) == [f"{tmp_path}/none cannot be seen"]


@pytest.mark.parametrize("text", ["", "exclude-newer = '6 days'", "exclude-newer = '2026-01-01'"])
def test_r6_a_lock_leaves_out_what_is_young(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(f"[tool.uv]\n{text}\n")
    assert len(list(checks.cool_down(path))) == 1


@pytest.mark.parametrize("text", [None, "", "floor = []\npth = []", "[[floor]]\npackage = 'a'", "?"])
def test_floors_that_cannot_be_read_are_an_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "floors.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Unreadable, match=r"floors\.toml"):
        checks.read_floors(path)


def test_the_command_fails_on_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "read_all", lambda: {"a": []})
    assert checks.main() == 1
    assert "supply: starlette has a floor, and no lock holds it" in capsys.readouterr().err

    def unreadable() -> None:
        raise Unreadable("missing: dev.txt")

    monkeypatch.setattr(checks, "read_all", unreadable)
    assert checks.main() == 1
    assert capsys.readouterr().err == "supply: missing: dev.txt\n"


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="not installed by make dev")
def test_the_environment_is_seen() -> None:
    assert all(folder.is_dir() for folder in checks.site_folders())
