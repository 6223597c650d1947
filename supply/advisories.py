"""`python -m supply.advisories PIP_AUDIT`: every lock against the known vulnerabilities, or a failure.

A service that does not answer, or answers without knowing anything, must not look like a clean audit. So a
version that is known to be vulnerable is asked for first: who does not report it cannot see.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from supply.locks import FOLDER, LOCKS, Locked, Unreadable, read

SECONDS = 600.0
CANARY = Locked("jinja2", Version("3.1.5"), ("0" * 64,))
"""It has CVE-2025-27516. Nothing of it is fetched."""


class Blind(Exception):
    """The audit did not see."""


def ask(command: Sequence[str], path: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each package of a file. Raises `Blind`."""
    options = [
        "--strict",
        "--disable-pip",
        "--require-hashes",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    try:
        done = subprocess.run(
            [*command, *options, "-r", str(path)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Blind(f"pip-audit could not be run: {problem}") from None
    try:
        said = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise Blind(f"pip-audit gave no report of {path.name}: {reason}") from None
    if done.returncode not in (0, 1):
        raise Blind(f"pip-audit failed with {done.returncode}")
    return list(said)


def judge(said: Iterable[dict[str, Any]], locked: Sequence[Locked]) -> Iterator[str]:
    """The vulnerabilities in a report. Raises `Blind` unless it speaks of every locked package."""
    seen = set()
    for one in said:
        name = canonicalize_name(one["name"])
        if "skip_reason" in one or "vulns" not in one:
            raise Blind(f"{name} was skipped: {one.get('skip_reason', 'no reason was given')}")
        seen.add((name, Version(one["version"])))
        yield from (f"{name} {one['version']}: {vulnerability['id']}" for vulnerability in one["vulns"])
    if lost := sorted(f"{one.name} {one.version}" for one in locked if (one.name, one.version) not in seen):
        raise Blind(f"nothing was said of {', '.join(lost)}")


def audit(command: Sequence[str], folder: Path = FOLDER, names: Sequence[str] = LOCKS) -> list[str]:
    """The vulnerabilities in every lock. Raises `Blind` or `Unreadable`."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "canary.txt"
        path.write_text(f"{CANARY.name}=={CANARY.version} --hash=sha256:{CANARY.hashes[0]}\n")
        if not list(judge(ask(command, path), [CANARY])):
            raise Blind(
                f"{CANARY.name} {CANARY.version} is not reported, though it is known to be vulnerable"
            )
        found = []
        for name in names:
            for locked in layers(read(folder / f"{name}.txt")):
                # Without markers: what is locked for any machine is asked for on this one.
                path = Path(scratch) / f"{name}.txt"
                path.write_text("".join(f"{_line(one)}\n" for one in locked))
                found += [f"{name}.txt: {one}" for one in judge(ask(command, path), locked)]
        return found


def layers(locked: Iterable[Locked]) -> list[list[Locked]]:
    """The packages of a lock in parts, none of which has two versions of one: machines may differ."""
    made: list[list[Locked]] = []
    for one in locked:
        free = [layer for layer in made if one.name not in {other.name for other in layer}]
        if not free:
            made.append([])
        (free or made[-1:])[0].append(one)
    return made


def _line(one: Locked) -> str:
    # An advisory is of a version, whatever it was built for (torch 2.13.0+cpu).
    return f"{one.name}=={one.version} " + " ".join(f"--hash=sha256:{digest}" for digest in one.hashes)


def main() -> int:
    try:
        found = audit(sys.argv[1:] or ["pip-audit"])
    except (Blind, Unreadable) as problem:
        print(f"The audit failed, since it could not see: {problem}.", file=sys.stderr)
        return 2
    for one in found:
        print(one)
    print(f"{len(found)} known vulnerabilities in {len(LOCKS)} locks.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
