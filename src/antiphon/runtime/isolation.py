"""What engine processes of this machine are cut off from: how they are started so, and whether that works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import antiphon
from antiphon.address import Address
from antiphon.runtime.local import here
from antiphon.settings import Settings

LAUNCHER = Path(antiphon.__file__).parent / "workers" / "apart.py"
_RUN = "run"
"""The folder of sockets: each process sees its own alone."""
_LEAST = 8 * 1024**3
"""Bytes of data that any machine's engine may have: stacks of threads count wholly, and are hardly used."""
_PATIENCE = 20.0
_PROGRAMS = {".py", ".pyc", ".so", ".pth", ".dist-info", ".egg-info", ".egg-link"}
"""What the names of files end with that something may be imported by."""
_PATH = re.compile(r"(?:^|(?<=[=:,]))(?=(/[^\0]*))")


def apart(
    command: Sequence[str], address: Address, what: Literal["all", "files", "nothing"], settings: Settings
) -> list[str]:
    """The command that starts `command` cut off from `what`; see `EngineKind.apart`.

    A process that listens on TCP, for other machines, is started as it is.
    """
    if not address.path:
        return list(command)
    memory = settings.engine_memory or max(_LEAST, here().memory)
    if what == "nothing":
        # Nor bounds of data: drivers of GPUs reserve addresses far beyond what there is.
        return _launched(command, ["--network"])
    own = Path(address.path).parent
    network = ["--network"] if what == "files" else []
    return _launched(
        command, [*network, "--memory", str(memory), *_hidden(settings.home_path, [own, *_named(command)])]
    )


def preparing(command: Sequence[str], home: Path) -> list[str]:
    """The same for a process that makes something of a model of the data folder `home`."""
    return _launched(command, ["--memory", str(max(_LEAST, here().memory)), *_hidden(home, _named(command))])


def exposed(home: Path) -> str:
    """Why engines see all of the data folder, whatever the system permits; nothing if they do not."""
    if _hidden(home, ()):
        return ""
    return "not cut off from the data folder: what Antiphon is run from lies all about it"


def lacking() -> str:
    """What this system does not permit, in a few words; nothing if it permits all. Blocks for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(
            _launched(["true"], ["--home", folder]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    return tried.stderr.strip().rpartition("\n")[2]


def _launched(command: Sequence[str], options: Sequence[str]) -> list[str]:
    if shutil.which(command[0]) is None:
        return list(command)  # whoever starts it is told that it is not there
    # Without the site's packages it starts in a moment.
    return [sys.executable, "-I", "-S", str(LAUNCHER), *options, "--", *command]


def _hidden(home: Path, named: Iterable[Path]) -> list[str]:
    """Options that hide the data folder but for the parts of it that hold what is needed."""
    real = Path(os.path.realpath(home))
    needed = [*named, *(place for place in _program() if _is_needed(place, real))]
    paths = {path.relative_to(home) for path in needed if path.is_relative_to(home)}
    # And what a link leads to.
    led = (Path(os.path.realpath(path)) for path in needed)
    inside = sorted(paths | {path.relative_to(real) for path in led if path.is_relative_to(real)})
    if Path() in inside:
        return []  # the program itself lies all about it
    kept = dict.fromkeys("/".join(path.parts[: 1 + (path.parts[0] == _RUN)]) for path in inside)
    return ["--home", str(home), *(word for path in kept for word in ("--keep", path))]


def _program() -> Iterator[Path]:
    """Where this program is, and what it imports."""
    yield from (Path(place) for place in (*sys.path, sys.prefix, sys.base_prefix, str(LAUNCHER)) if place)


def _is_needed(place: Path, home: Path) -> bool:
    """Whether anything is imported from a place. Of the data folder that is known only if it holds programs:
    it is among the places already when Antiphon is started in it."""
    if str(place) in (sys.prefix, sys.base_prefix) or Path(os.path.realpath(place)) != home:
        return True
    found = home.iterdir() if home.is_dir() else ()
    return any(one.suffix in _PROGRAMS or (one / "__init__.py").exists() for one in found)


def _named(command: Sequence[str]) -> Iterator[Path]:
    """The paths that a command names: whole words, or what stands behind `=`, `:` or `,` in one."""
    for word in command:
        yield from (Path(found[1]) for found in _PATH.finditer(word))
