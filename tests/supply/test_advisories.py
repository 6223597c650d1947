"""An audit that cannot see fails: whatever the service answers, and where none is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from supply import advisories
from supply.advisories import CANARY, Blind, audit, judge, layers
from supply.locks import Locked

BAD = {"id": "CVE-1", "fix_versions": [], "aliases": [], "description": ""}
LOCKED = Locked("some-package", Version("1.0"), ("0" * 64,))


def said(name: str, version: str, *vulnerabilities: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": version, "vulns": list(vulnerabilities)}


def auditor(tmp_path: Path, body: str, code: int = 0) -> list[str]:
    """A program in the place of pip-audit: `asked` holds what stands in the file that it is given."""
    path = tmp_path / "auditor.py"
    path.write_text(
        "import json, re, sys\n"
        "asked = [line.split()[0].split('==') for line in open(sys.argv[-1])]\n"
        "def vulns(name): return [{'id': 'CVE-2025-27516'}] if name == 'jinja2' else []\n"
        f"{body}\nsys.exit({code})\n"
    )
    return [sys.executable, str(path)]


HONEST = (
    "print(json.dumps({'dependencies': [{'name': n, 'version': v, 'vulns': vulns(n)} for n, v in asked]}))"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.txt").write_text(f"some-package==1.0 --hash=sha256:{'0' * 64}\n")
    return tmp_path


def test_a_service_that_sees_is_believed(tmp_path: Path, folder: Path) -> None:
    assert audit(auditor(tmp_path, HONEST), folder, ["x"]) == []
    worse = HONEST.replace("vulns(n)", "[{'id': 'CVE-9'}]")
    assert audit(auditor(tmp_path, worse, 1), folder, ["x"]) == ["x.txt: some-package 1.0: CVE-9"]


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (HONEST.replace("vulns(n)", "[]"), 0, "jinja2 3.1.5 is not reported"),
        ("print(json.dumps({'dependencies': []}))", 0, "nothing was said of jinja2 3.1.5"),
        ("print('{}')", 0, "gave no report"),
        ("print('no service', file=sys.stderr)", 1, "no service"),
        (HONEST, 3, "failed with 3"),
        (HONEST.replace("in asked", "in asked if n == 'jinja2'"), 0, "nothing was said of some-"),
        (
            HONEST.replace(
                "'vulns': vulns(n)", "('vulns' if vulns(n) else 'skip_reason'): vulns(n) or 'not found'"
            ),
            0,
            "some-package was skipped: not found",
        ),
    ],
)
def test_a_service_that_cannot_see_fails_the_audit(
    tmp_path: Path, folder: Path, body: str, code: int, reason: str
) -> None:
    with pytest.raises(Blind, match=reason):
        audit(auditor(tmp_path, body, code), folder, ["x"])


def test_without_the_program_the_audit_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", str(tmp_path / "none")])
    assert advisories.main() == 2
    assert capsys.readouterr().err.startswith(
        "The audit failed, since it could not see: pip-audit could not be run"
    )


def test_findings_fail_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(advisories, "audit", lambda command: ["x.txt: a 1: CVE-9"])
    assert advisories.main() == 1
    monkeypatch.setattr(advisories, "audit", lambda command: [])
    assert advisories.main() == 0
    assert "x.txt: a 1: CVE-9\n1 known vulnerabilities" in capsys.readouterr().out


def test_a_version_must_be_the_one_that_was_asked_for() -> None:
    with pytest.raises(Blind, match="some-package 1.0"):
        list(judge([said("some-package", "2.0")], [LOCKED]))
    assert list(judge([said("Some_Package", "1", BAD)], [LOCKED])) == ["some-package 1: CVE-1"]


def test_two_versions_for_two_machines_are_asked_for_apart() -> None:
    newer, other = LOCKED._replace(version=Version("2")), LOCKED._replace(name="other")
    assert layers([LOCKED, newer, other]) == [[LOCKED, other], [newer]]
    assert layers([]) == []


def test_the_canary_is_below_its_floor() -> None:
    from supply.checks import read_floors

    [floor] = [one for one in read_floors()[0] if one.package == CANARY.name]
    assert CANARY.version < floor.version and floor.advisories
    assert json.dumps(floor.advisories)
