"""What the whole state is: all that the program reads from the data folder or writes there has its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import antiphon
from antiphon.operations.parts import MADE_ANEW, PARTS, files, unknown

SOURCE = Path(antiphon.__file__).parent
FOLDERS = {"home", "_home", "home_path", "home_folder"}
"""What the data folder is called wherever it is used."""
OF_PARTS = {
    "cli/checks/installation.py: place.database or ''",  # a database that the settings name
    "cli/options.py: name",  # of `_MARKS`, which are looked for and not written
    "operations/backup.py: name",
    "operations/restore.py: path.name",
}
"""What follows the data folder and is no name, but stands for what has one."""


def test_all_that_the_program_uses_in_the_data_folder_is_a_part_or_made_anew() -> None:
    used, unclear = names()
    patterns = {*MADE_ANEW, *(part.pattern for part in PARTS)}
    lost = {name: where for name, where in used.items() if not covered(name, patterns)}
    assert lost == {} and unclear == OF_PARTS
    # And the other way round: what is listed is used, but for what SQLite names.
    idle = {pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in used)}
    assert {pattern for pattern in idle if ".db-" not in pattern} == set()


def test_each_part_is_in_the_right_file() -> None:
    named = {part.pattern: part.artefact for part in PARTS}
    secrets = {"pepper", "*.secret", "content-keys.db", "receipts.key", "upstream-keys"}
    assert {name for name, artefact in named.items() if artefact == "keys"} == secrets
    assert not secrets & MADE_ANEW.keys() and all(MADE_ANEW.values())
    patterns = [part.pattern for part in PARTS]
    assert patterns.index("journal") < patterns.index("antiphon.db") < patterns.index("content-keys.db")


def test_what_is_only_on_its_way_is_left_out(tmp_path: Path) -> None:
    for path in ("journal/epoch_1/00000001", "journal/epoch_1/lock", "journal/.epoch_2/00000001"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    [journal] = [part for part in PARTS if part.pattern == "journal"]
    assert list(files(tmp_path, journal)) == [tmp_path / "journal/epoch_1/00000001"]


def test_what_others_put_there_is_told(tmp_path: Path) -> None:
    for name in (
        "antiphon.db",
        "antiphon.db-wal",
        "mine.secret",
        "notes.txt",
        ".serve.json.1",
        "moderation.toml",
    ):
        (tmp_path / name).write_text("x")
    (tmp_path / "certificates").mkdir()
    assert unknown(tmp_path) == ["certificates", "notes.txt"]


def covered(name: str, patterns: set[str]) -> bool:
    """Drafts begin with a dot: what they become has its own name."""
    return name.startswith(".") or any(fnmatchcase(name, pattern) for pattern in patterns)


def names() -> tuple[dict[str, str], set[str]]:
    """What follows the data folder in the code: names, each with a file that uses it; and what is no name."""
    used: dict[str, str] = {}
    unclear = set()
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if place.startswith("workers/"):
            continue  # they are told where they may work
        tree = ast.parse(path.read_text())
        for found in following(tree):
            name = value(found, place, tree)
            if name is None:
                unclear.add(f"{place}: {ast.unparse(found)}")
            else:
                used[name] = place
    return used, unclear


def following(tree: ast.Module) -> Iterator[ast.expr]:
    """What stands after `home /`, however the folder is called there."""
    called = FOLDERS | {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_folder(node.value, FOLDERS)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and is_folder(node.left, called):
            yield node.right


def is_folder(node: ast.expr, called: set[str]) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr in called
    return isinstance(node, ast.Name) and node.id in called


def value(node: ast.expr, place: str, tree: ast.Module) -> str | None:
    """The text that an expression stands for; None if that is known at run time alone."""
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        node = node.values[0]
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.Name):
        return None
    module, name = "antiphon." + place.removesuffix(".py").replace("/", "."), node.id
    for one in ast.walk(tree):  # a function may import it
        if isinstance(one, ast.ImportFrom) and one.module:
            for alias in one.names:
                if name in (alias.name, alias.asname):
                    module, name = one.module, alias.name
    found = getattr(import_module(module), name, None)
    return found if isinstance(found, str) else None
