"""The ten figures: what is not measured says so, what is too little does too, and only that is run."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from benchmarks.checks import Group, counted
from benchmarks.dashboard import COMMANDS, _run, due
from benchmarks.fuzz import counted as counted_case
from benchmarks.runs import RESULTS, console
from benchmarks.ten import FIGURES, STREAMS, block, table

NOW = datetime(2026, 12, 1, tzinfo=UTC)
WRITTEN = "2026-11-30T00:00:00+00:00"


def rows(folder: Path) -> dict[int, tuple[str, ...]]:
    return {int(row[0]): row for row in table(folder).rows}


def write(folder: Path, name: str, **document: object) -> None:
    (folder / f"{name}.json").write_text(json.dumps(document))


def test_without_results_all_ten_say_so(tmp_path: Path) -> None:
    shown = rows(tmp_path)
    assert sorted(shown) == list(range(1, 11))
    assert {row[3] for row in shown.values()} == {"not measured"}
    assert all(due(figure, tmp_path, NOW, 30) for figure in FIGURES)
    with pytest.raises(KeyError):
        block(tmp_path, "other")


def test_too_few_cases_are_told_and_measured_on(tmp_path: Path) -> None:
    truncations = FIGURES[1]
    write(tmp_path, "truncations", parts={"0": {}}, sum={"whole": 400, "error event": 600}, written=WRITTEN)
    assert rows(tmp_path)[2][3:6] == ("0 of 1,000", "too few yet", "2026-11-30")
    assert due(truncations, tmp_path, NOW, 30)
    write(tmp_path, "truncations", parts={"0": {}}, sum={"whole": STREAMS}, written=WRITTEN)
    assert rows(tmp_path)[2][4] == "met" and not due(truncations, tmp_path, NOW, 30)
    assert not due(truncations, tmp_path, NOW + timedelta(days=90), 30), "what adds up does not age"
    write(tmp_path, "truncations", parts={"0": {}}, sum={"whole": STREAMS, "unmarked": 1}, written=WRITTEN)
    assert rows(tmp_path)[2][3:5] == ("1 of 1,000,001", "missed")


def test_wounds_show_the_slowest_of_their_kind(tmp_path: Path) -> None:
    figures = {"cancel, queued": [0.1] * 50, "cancel, decode, whole": [0.1] * 49 + [3.0]}
    write(tmp_path, "reliability", figures=figures, written=WRITTEN)
    assert rows(tmp_path)[4][3:5] == ("3.00 s", "missed")
    assert rows(tmp_path)[5][3] == "not measured"


def test_bad_input_needs_its_fixed_and_its_generated_cases(tmp_path: Path) -> None:
    write(tmp_path, "fuzz", statuses={"400": 100_000}, written=WRITTEN)
    assert rows(tmp_path)[8][3:5] == ("fixed ones not measured, 100,000 generated", "too few yet")
    groups = {
        "bad input": {"passed": 2000, "failed": 0, "cells": 0},
        "authorization": {"passed": 1, "failed": 0, "cells": 1300},
        "canaries": {"passed": 1, "failed": 0, "cells": 0},
    }
    write(tmp_path, "checks", groups=groups, written=WRITTEN)
    assert rows(tmp_path)[8][3:5] == ("2,000/2,000 fixed, 100,000 generated", "met")
    assert rows(tmp_path)[9][3:5] == ("100 % of 1,300 cells / 0 canaries", "met")
    groups["bad input"] = {"passed": 1999, "failed": 1, "cells": 0}
    groups["authorization"] = {"passed": 0, "failed": 1, "cells": 0}
    write(tmp_path, "checks", groups=groups, written=WRITTEN)
    assert rows(tmp_path)[8][4] == rows(tmp_path)[9][4] == "missed"
    authorization = FIGURES[8]
    assert not due(authorization, tmp_path, NOW, 30)
    groups["authorization"] = {"passed": 1, "failed": 0, "cells": 1300}
    groups["canaries"] = {"passed": 0, "failed": 1, "cells": 0}
    write(tmp_path, "checks", groups=groups, written=WRITTEN)
    assert rows(tmp_path)[9][3:5] == ("failed: see tests/e2e/test_canary.py", "missed")
    del groups["canaries"]
    write(tmp_path, "checks", groups=groups, written=WRITTEN)
    assert rows(tmp_path)[9][3:5] == ("100 % of 1,300 cells / canaries not looked for", "too few yet")
    assert due(authorization, tmp_path, NOW, 30)
    assert due(authorization, tmp_path, NOW + timedelta(days=30), 30), "what does not add up ages"


def test_committed_results_can_be_read_and_every_figure_has_a_command() -> None:
    assert len(table(RESULTS).rows) == 10
    assert {number for numbers, _ in COMMANDS for number in numbers} == {one.number for one in FIGURES}


def test_a_benchmark_is_ended_with_all_it_started_when_the_time_is_over(tmp_path: Path) -> None:
    told = tmp_path / "child"
    program = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(told)!r}).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    _run(console(), ["-c", program], began + 2)
    assert time.monotonic() - began < 30
    assert not told.exists() or not _runs(int(told.read_text()))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def test_what_a_report_of_tests_says() -> None:
    report = """<testsuites><testsuite>
      <testcase name="a"/><testcase name="b"><failure/></testcase><testcase name="c"><skipped/></testcase>
      <testcase name="d"><properties><property name="cells" value="1300"/></properties></testcase>
      <testcase name="e"><error/></testcase></testsuite></testsuites>"""
    assert counted(report) == Group(passed=2, failed=2, cells=1300)


def test_no_mutated_request_is_counted_twice() -> None:
    document = {"parts": {"1": {"cases": 10_000}, "20000": {}}}
    firsts = (0, 2500, 10_000, 10_001, 17_501, 20_000, 22_499, 22_500)
    assert [counted_case(document, first) for first in firsts] == [True] * 3 + [False] + [True] * 3 + [False]
