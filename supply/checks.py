"""`python -m supply.checks`: the locks keep to the floors, and nothing that is installed runs unasked.

It fails on what it cannot see as on what is wrong: a lock that is missing, a floor of what nobody locks.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from supply.locks import FOLDER, Locked, Unreadable, read_all

PROJECT = FOLDER.parent / "pyproject.toml"
COOL_DOWN_DAYS = 7
_RUN_AT_START = ("sitecustomize.py", "usercustomize.py")


class Floor(NamedTuple):
    package: str
    version: Version
    why: str
    advisories: tuple[str, ...]


class Pth(NamedTuple):
    """A `.pth` file that a package may install."""

    file: str
    package: str


def read_floors(path: Path = FOLDER / "floors.toml") -> tuple[list[Floor], list[Pth]]:
    """What is asked. Raises `Unreadable`."""
    try:
        asked = tomllib.loads(path.read_text())
        floors = [
            Floor(one["package"], Version(one["version"]), one["why"], tuple(one["advisories"]))
            for one in asked["floor"]
        ]
        listed = [Pth(one["file"], one["package"]) for one in asked["pth"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, InvalidVersion) as problem:
        raise Unreadable(f"{path.name}: {problem!r}") from None
    if not floors:
        raise Unreadable(f"{path.name}: it holds no floors")
    return floors, listed


def below(floors: Sequence[Floor], locks: Mapping[str, Iterable[Locked]]) -> Iterator[str]:
    """What is locked below its floor, and floors of what nobody locks."""
    for floor in floors:
        found = [
            (name, one.version) for name, lock in locks.items() for one in lock if one.name == floor.package
        ]
        if not found:
            yield f"{floor.package} has a floor, and no lock holds it"
        for name, version in found:
            if version < floor.version:
                yield f"{name}.txt locks {floor.package} {version}, below {floor.version}: {floor.why}"


def installed_below(floors: Sequence[Floor], there: Iterable[Distribution]) -> Iterator[str]:
    """What is installed below its floor."""
    versions = {floor.package: floor for floor in floors}
    for one in there:
        floor = versions.get(canonicalize_name(one.name))
        if floor and Version(one.version) < floor.version:
            yield f"{floor.package} {one.version} is installed, below {floor.version}: {floor.why}"


def unlisted(listed: Sequence[Pth], there: Sequence[Distribution], folders: Iterable[Path]) -> Iterator[str]:
    """Files that run when Python starts and may not be there, whoever brought them, or nobody did (R6)."""
    if not there:
        yield "no installed package was found: nothing can be said of their .pth files"
    owners = {
        (Path(str(file)).name, canonicalize_name(one.name))
        for one in there
        for file in one.files or ()
        if Path(str(file)).name.endswith(".pth") or Path(str(file)).name in _RUN_AT_START
    }
    known = {(one.file, one.package) for one in listed}
    yield from (f"{package} brings {file}, which is not listed" for file, package in sorted(owners - known))
    for folder in folders:
        if not folder.is_dir():
            yield f"{folder} cannot be seen"
            continue
        files = {*folder.glob("*.pth"), *(folder / name for name in _RUN_AT_START)}
        for path in sorted(file for file in files if file.exists()):
            if path.name not in {file for file, _ in owners}:
                yield f"{path.name} lies among the installed packages, and belongs to none"


def cool_down(path: Path = PROJECT) -> Iterator[str]:
    """Locks do not say how old their packages are: all there is to see is that none takes what is young."""
    text = tomllib.loads(path.read_text()).get("tool", {}).get("uv", {}).get("exclude-newer", "")
    match = re.fullmatch(r"(\d+) days", str(text))
    if not match or int(match[1]) < COOL_DOWN_DAYS:
        yield f"exclude-newer is {text!r} in {path.name}, and must be {COOL_DOWN_DAYS} days or more"


def site_folders() -> list[Path]:
    """Where the packages of this Python are."""
    return sorted({Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")})


def problems() -> list[str]:
    """Everything that is wrong, or cannot be seen."""
    try:
        locks, (floors, listed) = read_all(), read_floors()
    except Unreadable as problem:
        return [str(problem)]
    there = list(distributions(path=[str(folder) for folder in site_folders()]))
    return [
        *below(floors, locks),
        *installed_below(floors, there),
        *unlisted(listed, there, site_folders()),
        *cool_down(),
    ]


def main() -> int:
    found = problems()
    for one in found:
        print(f"supply: {one}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
