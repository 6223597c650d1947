from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon import errors, settings
from antiphon.cli.main import app
from antiphon.cli.output import CommandFailed

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def written(runner: CliRunner, tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    assert runner.invoke(app, ["docs", "--write", str(folder)]).exit_code == 0
    return folder


def test_the_pages_in_the_repository_are_up_to_date(runner: CliRunner) -> None:
    result = runner.invoke(app, ["docs", "--check", str(DOCS)])
    assert result.exit_code == 0, result.exception


def test_what_was_written_passes_the_check(runner: CliRunner, written: Path) -> None:
    assert runner.invoke(app, ["docs", "--check", str(written)]).exit_code == 0


def test_the_pages_do_not_depend_on_who_makes_them(runner: CliRunner, written: Path) -> None:
    environment = {"COLUMNS": "40", "ANTIPHON_PORT": "1", "OPENAI_API_KEY": "sk-secret", "HOME": "/elsewhere"}
    assert runner.invoke(app, ["docs", "--check", str(written)], env=environment).exit_code == 0


def test_the_site_is_written(runner: CliRunner, tmp_path: Path) -> None:
    assert runner.invoke(app, ["docs", "--site", str(tmp_path / "site")]).exit_code == 0
    home = (tmp_path / "site/index.html").read_text()
    assert 'href="billing.html"' in home and (tmp_path / "site/search-index.js").exists()
    assert 'href="../index.html"' in next((tmp_path / "site/decisions").iterdir()).read_text()
    assert 'href="openapi.json"' in (tmp_path / "site/api.html").read_text()
    assert "/v1/embeddings" in json.loads((tmp_path / "site/openapi.json").read_text())["paths"]


@pytest.mark.parametrize("damage", [lambda page: page.unlink(), lambda page: page.write_text("old")])
@pytest.mark.parametrize("name", ["settings.md", "errors.md", "cli.md"])
def test_a_stale_page_is_named(runner: CliRunner, written: Path, damage, name: str) -> None:
    damage(written / name)
    problem = runner.invoke(app, ["docs", "--check", str(written)]).exception
    assert isinstance(problem, CommandFailed)
    assert problem.exit_code == 1 and problem.message.endswith(name) and problem.fix == "make docs"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--write", ".", "--check", "."], ["--write", ".", "--site", "."], ["--check", "/no/such/folder"]],
)
def test_wrong_usage(runner: CliRunner, arguments: list[str]) -> None:
    assert runner.invoke(app, ["docs", *arguments]).exit_code == 2


def test_every_setting_is_documented(written: Path) -> None:
    page = (written / "settings.md").read_text()
    for row in settings.rows():
        assert f"| `{row.name}` | `{row.environment}` | `{row.flag}` |" in page and row.help in page


def test_every_error_is_documented_with_a_meaning(written: Path) -> None:
    page = (written / "errors.md").read_text()
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.AntiphonError) and kind not in (
            errors.AntiphonError,
            errors.ConfigurationError,
        ):
            [row] = [line for line in page.splitlines() if line.startswith(f"| {kind.__name__} |")]
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert cells[1:3] == [str(kind.status), f"`{kind.type}`"]
            assert cells[4], f"{kind.__name__} has no meaning in the tree"


def test_every_command_is_documented(written: Path) -> None:
    page = (written / "cli.md").read_text()
    for command in (
        "serve",
        "chat",
        "transcribe",
        "doctor",
        "docs",
        "keys create",
        "keys list",
        "models pull",
    ):
        assert f" `antiphon {command}`\n" in page
    assert "--requests-per-minute INT" in page and "130 interrupted" in page
