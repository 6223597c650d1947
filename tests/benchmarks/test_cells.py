"""The faults are shown in turn, what fails is kept, and a run that was cut off is gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from benchmarks.cells import Cell, attempt, read, rounds, table
from benchmarks.marks import marked


def test_each_is_shown_as_often_and_what_fails_is_kept() -> None:
    ran: list[str] = []
    kept: list[int] = []

    def run(tests: Sequence[str]) -> tuple[bool | None, str]:
        ran.append(tests[0])
        return {"a": True, "b": False, "c": None}[tests[0]], "said"

    cells = {"one": Cell(runs=2)}
    rounds(cells, {"one": ["a"], "two": ["b"], "three": ["c"]}, 3, run, lambda: kept.append(len(ran)))
    assert sorted(ran) == ["a"] + ["b"] * 3 + ["c"] * 3 and kept == list(range(1, 8))
    assert [cells[name].runs for name in ("one", "two", "three")] == [3, 3, 3]
    assert cells["two"].failures == ["said"] * 3 and cells["three"].skipped == 3
    assert table(cells).row_count == 3


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert read(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    ("text", "passed"), [("pass", True), ("assert 0, 'seen'", False), ("pytest.skip()", None)]
)
def test_tests_run_in_a_process_of_their_own(tmp_path: Path, text: str, passed: bool | None) -> None:
    file = tmp_path / "test_one.py"
    file.write_text(f"import pytest\n\ndef test_one():\n    {text}\n")
    found, told = attempt([str(file)])
    assert found is passed
    assert passed is not False or "seen" in told


def test_marks_are_read_from_the_tests() -> None:
    assert (
        "tests/cli/test_gateway.py::test_the_first_signal_drains_and_the_second_ends_at_once"
        in marked("fault")["SIGTERM, and again"]
    )
