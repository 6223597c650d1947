"""The faults are shown in turn, what fails is kept, and a run that was cut off is gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Barrier

import pytest
from benchmarks.cells import Attempt, Cell, attempt, read, rounds, table
from benchmarks.marks import marked


def test_each_is_shown_as_often_and_what_fails_is_kept() -> None:
    ran: list[tuple[str, int]] = []
    kept: list[int] = []

    def run(tests: Sequence[str], times: int) -> Attempt:
        ran.append((tests[0], times))
        return Attempt(times, failed=2 * (tests[0] == "b"), skipped=tests[0] == "c", said="said")

    cells = {"one": Cell(runs=2)}
    rounds(cells, {"one": ["a"], "two": ["b"], "three": ["c"]}, 7, run, lambda: kept.append(len(ran)))
    assert ran == [("b", 5), ("c", 5), ("a", 5), ("b", 2), ("c", 2)] and kept == [1, 2, 3, 4, 5]
    assert [cells[name].runs for name in ("one", "two", "three")] == [7, 7, 7]
    assert cells["two"].failed == 4 and cells["two"].failures == ["said"] * 2
    assert cells["three"].skipped == 7
    assert table(cells).row_count == 3


def test_several_run_at_once_but_never_one_fault_twice() -> None:
    met = Barrier(2, timeout=10)
    running: list[str] = []

    def run(tests: Sequence[str], times: int) -> Attempt:
        assert tests[0] not in running
        running.append(tests[0])
        met.wait()
        running.remove(tests[0])
        return Attempt(times)

    cells: dict[str, Cell] = {}
    rounds(cells, {"one": ["a"], "two": ["b"]}, 10, run, lambda: None, processes=2)
    assert [cell.runs for cell in cells.values()] == [10, 10]


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert read(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    ("text", "failed", "skipped"),
    [("pass", 0, False), ("assert 0, 'seen'", 3, False), ("pytest.skip()", 0, True)],
)
def test_tests_run_in_a_process_of_their_own(tmp_path: Path, text: str, failed: int, skipped: bool) -> None:
    file = tmp_path / "test_one.py"
    file.write_text(f"import pytest\n\ndef test_one():\n    {text}\n")
    found = attempt([str(file)], 3)
    assert (found.rounds, found.failed, found.skipped) == (3, failed, skipped)
    assert not failed or "seen" in found.said


def test_rounds_that_fail_are_counted_and_not_their_tests(tmp_path: Path) -> None:
    file = tmp_path / "test_one.py"
    fails = """
import pytest
from itertools import count

ROUND = {"a": count(), "b": count()}

@pytest.mark.parametrize("name", ["a", "b"])
def test_one(name):
    assert next(ROUND[name]) != 1
"""
    file.write_text(fails)
    assert attempt([str(file)], 4).failed == 1


def test_the_options_of_the_tests_here_hide_nothing() -> None:
    """They say `-q`, and with a second one pytest does not count what passed."""
    found = attempt(["tests/ledger/test_watch.py::test_having_slept_begins_anew"], 2)
    assert found == Attempt(2)


def test_marks_are_read_from_the_tests() -> None:
    assert (
        "tests/cli/test_gateway.py::test_the_first_signal_drains_and_the_second_ends_at_once"
        in marked("fault")["SIGTERM, and again"]
    )
