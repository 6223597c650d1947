"""The hash-locked requirements, read strictly: what is not a pinned package with its hashes is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FOLDER = Path(__file__).parents[1] / "requirements"
LOCKS = ("audit", "charts", "dev", "otel", "ray", "s3", "serve", "uv", "vllm")
"""Every lock there is: one that is missing, or that nobody knows, is an error."""

_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class Locked(NamedTuple):
    """One package of a lock; `hashes` are SHA-256 of the files that may be installed."""

    name: str
    version: Version
    hashes: tuple[str, ...]


class Unreadable(Exception):
    """A lock, or what is said of locks, cannot be judged."""


def read_all(folder: Path = FOLDER) -> dict[str, list[Locked]]:
    """Every lock by its name. Raises `Unreadable`."""
    there = {path.stem for path in folder.glob("*.txt")}
    if lost := set(LOCKS) - there:
        raise Unreadable(f"missing: {', '.join(f'{name}.txt' for name in sorted(lost))} in {folder.name}/")
    if unknown := there - set(LOCKS):
        raise Unreadable(f"nobody knows {', '.join(f'{name}.txt' for name in sorted(unknown))}")
    return {name: read(folder / f"{name}.txt") for name in LOCKS}


def read(path: Path) -> list[Locked]:
    """The packages of a lock. Raises `Unreadable`, naming the line."""
    try:
        found = [_locked(path, number, line) for number, line in _lines(path.read_text())]
    except (OSError, UnicodeDecodeError) as problem:
        raise Unreadable(f"{path.name}: {problem}") from None
    if not found:
        raise Unreadable(f"{path.name}: it locks nothing")
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Whole lines, continued ones joined, with the number of each one's first."""
    begin, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        begin = begin if parts else number
        parts.append(line.removesuffix("\\"))
        if line.endswith("\\"):
            continue
        whole = " ".join(parts).strip()
        parts = []
        if whole and not whole.startswith("#"):
            yield begin, whole
    if parts:
        raise Unreadable(f"line {begin} goes on after the end of the file")


def _locked(path: Path, number: int, line: str) -> Locked:
    place = f"{path.name}:{number}"
    if line.startswith("-") or "://" in line or " @ " in line:
        raise Unreadable(f"{place}: only packages may stand in a lock, no option and no address")
    wanted, *hashes = (part.strip() for part in line.split(" --hash="))
    try:
        requirement = Requirement(wanted)
    except InvalidRequirement as problem:
        raise Unreadable(f"{place}: {problem}") from None
    pins = [str(one) for one in requirement.specifier]
    if len(pins) != 1 or not pins[0].startswith("==") or "*" in pins[0] or pins[0].startswith("==="):
        raise Unreadable(f"{place}: {requirement.name} is not pinned to one version")
    digests = [_HASH.fullmatch(one) for one in hashes]
    if not digests or not all(digests):
        raise Unreadable(f"{place}: {requirement.name} has no SHA-256, or something else beside it")
    values = tuple(sorted(match[1] for match in digests if match))
    return Locked(canonicalize_name(requirement.name), Version(pins[0][2:]), values)
