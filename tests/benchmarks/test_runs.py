"""Options, files and the end of a run, the same for every benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.grids import Bar
from benchmarks.journal import Journal
from benchmarks.machine import machine, slug
from rich.console import Console

from benchmarks import grids, runs

PARTS = ("a", "b")


class Found(runs.Run, frozen=True, kw_only=True):
    value: int


def a_run(written: str, value: int) -> Found:
    about = runs.about("kind", ["pytest", "no-such-package"])
    assert about["versions"]["pytest"] and about["versions"]["no-such-package"] == "none"
    return Found(**(about | {"written": written}), value=value)


def test_runs_are_read_as_they_were_written_the_newest_first(tmp_path: Path) -> None:
    older = a_run("2026-11-26T10:00:00+00:00", 1)
    newer = a_run("2026-11-27T10:00:00+00:00", 2)
    for found in (newer, older):
        assert found.write(tmp_path, "kind", "-x").name == f"kind-{found.date}-{slug(machine())}-x.json"
    assert runs.read(tmp_path, "kind", Found) == [newer, older]
    assert runs.read(tmp_path, "other", Found) == []
    assert runs.newest(tmp_path, "kind", Found) == newer
    assert runs.newest(tmp_path, "other", Found) is None


def test_what_there_is_to_choose_from_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    parser = runs.parser("kind", "About.", PARTS, "seconds")
    assert parser.parse_args([]).only == PARTS and parser.parse_args(["--only", "b"]).only == ("b",)
    with pytest.raises(SystemExit):
        parser.parse_args(["--only", "b,c"])
    assert "there is no c" in capsys.readouterr().err


def test_other_facts_are_another_journal() -> None:
    given = runs.parser("kind", "About.", PARTS, "seconds").parse_args([])
    paths = {runs.journal("kind", given, Console(quiet=True), ["pytest"], fact).path for fact in (1, 1, 2)}
    assert len(paths) == 2


@pytest.mark.parametrize(("words", "written"), [([], True), (["--quick"], False), (["--only", "a"], False)])
async def test_only_whole_runs_are_written(tmp_path: Path, words: list[str], written: bool) -> None:
    given = runs.parser("kind", "About.", PARTS, "seconds").parse_args([*words, "--out", str(tmp_path)])
    journal = Journal(tmp_path / "journal")

    async def one() -> int:
        return 1

    await journal.once("step", int, one)
    places: list[Path] = []

    def write(folder: Path) -> Path:
        places.append(folder)
        return folder

    runs.finish(given, Console(quiet=True), journal, write, PARTS)
    assert places == ([tmp_path] if written else []) and not journal.path.exists()


def test_bars_are_told_apart_in_a_table() -> None:
    found = [grids.least("fast", 2.0, 1.5), grids.most("late", 3.0, 2.0, "s", 1)]
    assert found[1] == Bar(name="late", wanted="at most 2.0 s", measured="3.0 s", met=False)
    assert grids.missed(found) == ["late"]
    table = grids.bars(found)
    assert table and [row[-1] for row in table.rows] == ["met", "missed"] and grids.bars([]) is None


def test_no_folder_of_this_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["-m", "--recordings", "/home/me/speech", "--quick"])
    assert runs.about("kind", [])["command"] == "python -m benchmarks.kind --recordings FOLDER --quick"
