"""The pages that describe the house name what is really there, and `docs/architecture.md` names all of it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "antiphon"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = [
    ARCHITECTURE,
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
    *(ROOT / name for name in ("CONTRIBUTING.md", "README.md", "SECURITY.md")),
]
TOP = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
"""The packages and modules right under `antiphon`."""


def tree(text: str) -> Iterator[str]:
    """The paths of the block after "## The tree": two spaces a level, folders end in a slash."""
    block = text.partition("## The tree")[2].partition("```text\n")[2].partition("```")[0]
    folders: list[str] = []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        del folders[depth:]
        yield "".join(folders) + name
        if name.endswith("/"):
            folders.append(name)


def test_the_tree_is_the_one_in_the_checkout() -> None:
    shown = list(tree(ARCHITECTURE.read_text()))
    modules = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
    packages = {f"{path.parent.relative_to(SOURCE)}/" for path in SOURCE.rglob("*/__init__.py")}
    assert len(shown) == len(set(shown))
    assert set(shown) == modules | packages


def test_each_line_of_the_tree_says_what_the_module_is_for() -> None:
    block = ARCHITECTURE.read_text().partition("## The tree")[2].partition("```text\n")[2].partition("```")[0]
    assert [line for line in block.splitlines() if len(line.split()) < 3] == []


def test_the_order_of_imports_is_the_one_that_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [contract] = [c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    order = " ".join(" → ".join(contract["layers"]).replace("antiphon.", "").split())
    assert order in " ".join(ARCHITECTURE.read_text().split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_names_exist(page: Path) -> None:
    quoted = set(re.findall(r"`([^`\n]+)`", page.read_text()))
    paths = {text for text in quoted if is_path(text)}
    names = {text for text in quoted if is_name(text)}
    assert {path for path in paths if not (SOURCE / path).exists() and not (ROOT / path).exists()} == set()
    assert {name for name in names if not exists(name)} == set()


def is_path(text: str) -> bool:
    """Whether a quoted text is a path of this checkout: a Python file, or something in one of our folders."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", text):
        return False
    first = text.split("/")[0]
    return text.endswith(".py") or ("/" in text and first in TOP | {"src", "tests", "docs", "requirements"})


def is_name(text: str) -> bool:
    """Whether a quoted text is a dotted name of our code, such as `api.edge.Edge`."""
    return re.fullmatch(r"\w+(\.\w+)+", text) is not None and text.split(".")[0] in TOP and not is_file(text)


def is_file(text: str) -> bool:
    return text.rpartition(".")[2] in {"py", "md", "toml", "json", "db"}


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something that is defined in one."""
    place, parts = SOURCE, name.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    module = place / "__init__.py"
    if parts and (place / f"{parts[0]}.py").exists():
        module = place / f"{parts.pop(0)}.py"
    body: list[ast.stmt] = ast.parse(module.read_text()).body
    while parts:
        found = [node for node in body if parts[0] in defined(node)]
        if not found:
            return False
        body = getattr(found[0], "body", [])
        parts.pop(0)
    return True


def defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("engines.base.EngineKind.command", True),
        ("engines.kinds", True),
        ("workers.speech.app", True),
        ("values.Delta", True),
        ("values.Nothing", False),
        ("api.nowhere", False),
        ("engines.base.EngineKind.nothing", False),
    ],
)
def test_a_name_that_is_not_there_is_noticed(name: str, found: bool) -> None:
    assert exists(name) is found
