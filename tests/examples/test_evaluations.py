"""What the applications of the examples say of themselves: the figures that are committed, and shown."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from examples.kit.evaluate import Findings

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/evaluation.py"))
FEWEST = 30
ROW = re.compile(r"^\| (.+?) \| (\d+)(?: of | \| )(\d+) \|$", re.MULTILINE)
"""A line of a README's table: what was checked, how often it was right, and of how many."""


def reported(name: str) -> tuple[dict[str, Any], str]:
    """The committed evaluation of an application, and its README."""
    folder = EXAMPLES / name
    return json.loads((folder / "evaluation.json").read_text()), (folder / "README.md").read_text()


def test_every_application_is_evaluated() -> None:
    assert NAMES == sorted(path.parent.name for path in EXAMPLES.glob("*/__main__.py"))
    assert len(NAMES) == 5


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_are_those_of_the_turns_that_are_listed(name: str) -> None:
    report, _ = reported(name)
    checks = [check for turn in report["results"] for check in turn["checks"].items()]
    of, right = Counter(kind for kind, _ in checks), Counter(kind for kind, well in checks if well)
    assert report["turns"] == len(report["results"]) >= FEWEST
    assert report["right_of"] == {kind: [right[kind], of[kind]] for kind in of}


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_shows_the_committed_figures(name: str) -> None:
    report, readme = reported(name)
    shown = {kind: [int(right), int(of)] for kind, right, of in ROW.findall(readme)}
    assert shown == report["right_of"]
    assert set(re.findall(r"\b(\d+) turns\b", readme)) <= {str(report["turns"])}
    assert set(re.findall(r"\b\d{4}-\d\d-\d\d\b", readme)) <= {report["date"]}
    larger = re.escape(report["larger_model"])
    assert re.search(rf"larger models?: {larger}", " ".join(readme.split()), re.IGNORECASE)


def test_an_evaluation_is_kept_with_its_counts(tmp_path: Path) -> None:
    findings = Findings()
    findings.add("Hello", {"polite": True, "short": False}, "Good day!")
    findings.add("Bye", {"polite": True})
    findings.keep(tmp_path, model="small")
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert (report["model"], report["larger_model"], report["turns"]) == ("small", "not measured", 2)
    assert report["right_of"] == {"polite": [2, 2], "short": [0, 1]}
    assert report["results"][0]["answer"] == "Good day!" and "answer" not in report["results"][1]
