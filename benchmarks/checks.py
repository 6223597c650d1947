"""Run the tests that stand for figures of the dashboard, and write how many cases passed.

    python -m benchmarks.checks [--out FILE]

Bad input: each fixed case is a test. Authorization: one test asks for every operation as everybody, and
tells how many cells it looked at; in none may another organization's canary be seen. Canaries: what was
kept is found until it expires, and afterwards nowhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import msgspec
from rich.console import Console

from benchmarks.machine import machine
from benchmarks.runs import RESULTS, ROOT

GROUPS = {
    "bad input": ("tests/bad_input",),
    "authorization": ("tests/test_authorization.py",),
    "canaries": ("tests/e2e/test_canary.py",),
}


class Group(msgspec.Struct, frozen=True):
    """`cells` is what tests that hold many cases say of their number; 0 if none does."""

    passed: int
    failed: int
    cells: int


def counted(report: str) -> Group:
    """The tests of a report in JUnit's XML. What was skipped has not passed."""
    cases = list(ElementTree.fromstring(report).iter("testcase"))
    failed = sum(any(case.find(kind) is not None for kind in ("failure", "error")) for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    told = (
        found.get("value", "0")
        for case in cases
        for found in case.iter("property")
        if found.get("name") == "cells"
    )
    return Group(len(cases) - failed - skipped, failed, sum(map(int, told)))


def _run(paths: tuple[str, ...]) -> Group:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # The newer form of the report has no place for what tests say of themselves.
        family = ("-o", "junit_family=xunit1")
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *family, *paths]
        subprocess.run(command, cwd=ROOT, check=False)
        if not report.exists():
            raise SystemExit(f"{' '.join(paths)}: the tests could not be run")
        return counted(report.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "checks.json")
    given = parser.parse_args()
    found = {name: msgspec.to_builtins(_run(paths)) for name, paths in GROUPS.items()}
    written = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"machine": machine(), "written": written, "groups": found}
    given.out.write_text(json.dumps(document, indent=1) + "\n")
    Console().print_json(data=found)


if __name__ == "__main__":
    main()
