"""What is installed is what was locked, and nothing of it runs at the start of every Python."""

from __future__ import annotations

import re
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
RUNS_CODE = {"_virtualenv.pth", "distutils-precedence.pth", "a1_coverage.pth"}
"""What may run code when Python starts: of the virtual environment, of setuptools, of what measures tests."""


@pytest.mark.requirement("R6")
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_everything_that_is_locked_has_its_hashes(lock: Path) -> None:
    packages = [line for line in re.split(r"(?m)^(?=[A-Za-z0-9])", lock.read_text()) if re.match(r"\w", line)]
    assert packages
    assert [one.split()[0] for one in packages if not re.search(r"--hash=sha256:[0-9a-f]{64}", one)] == []
    assert [one.split()[0] for one in packages if "==" not in one.split(";")[0]] == []


@pytest.mark.requirement("R6")
def test_nothing_younger_than_a_week_enters_a_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["uv"]["exclude-newer"] == "7 days"
    for line in (ROOT / "Makefile").read_text().splitlines():
        if "pip install" in line and "$(UV)" in line:
            assert "--require-hashes" in line or "--no-deps" in line, line


@pytest.mark.requirement("R6")
def test_no_file_that_nobody_listed_runs_code_in_every_python() -> None:
    site = Path(sysconfig.get_path("purelib"))
    code = {
        path.name
        for path in site.glob("*.pth")
        if any(line.startswith(("import ", "import\t")) for line in path.read_text().splitlines())
    }
    assert code <= RUNS_CODE
