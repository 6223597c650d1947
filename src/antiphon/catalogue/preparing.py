"""What is made of a snapshot's model file for an engine that cannot read it as it is published.

It is done once, in a process of its own, and kept under `ANTIPHON_HOME/models/.prepared` by the hash of the
file or the files that it was made of: a folder with a manifest, or a note of why it cannot be made.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from antiphon.catalogue.digest import sha256_of
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore, Progress, silent
from antiphon.engines.base import EngineKind
from antiphon.errors import ConfigurationError
from antiphon.runtime import isolation
from antiphon.runtime.local import environment

_MANIFEST = "manifest.json"
_SILENCE = 1800.0
"""Seconds without a word of progress, after which the process is ended."""
_UNFIT = 2
"""The exit code of a process whose engine cannot take the model."""
_NEVER, _LATER = ".failed", ".later"
"""Names of notes: the engine cannot take the model; or something went wrong, and may go well another time."""
_TOLD = 400
"""Characters of what it says of its failure that are kept."""


class _Failed(Exception):
    """Why it could not be made."""

    def __init__(self, told: str, code: int) -> None:
        super().__init__(f"The model could not be prepared: {told or f'exit code {code}'}")
        self.never = code == _UNFIT


class _Step(msgspec.Struct, frozen=True):
    """A line of progress that the process prints."""

    step: str
    done: int
    total: int


def folder(store: ModelStore, entry: Entry, kind: EngineKind) -> Path | None:
    """Where it is, or will be; None for an engine that reads the file itself."""
    if kind.preparation is None:
        return None
    return store.prepared / f"{_hash(entry)}-{kind.name}-{kind.preparation_version}"


def failure(store: ModelStore, entry: Entry, kind: EngineKind) -> str:
    """Why it could not be made, when that was tried; else nothing."""
    place = folder(store, entry, kind)
    if place is not None:
        for suffix in (_NEVER, _LATER):
            with suppress(FileNotFoundError):
                return _note(place, suffix).read_text(encoding="utf-8")
    return ""


def ready(store: ModelStore, entry: Entry, kind: EngineKind) -> bool:
    """Whether the engine can be started: `verify` looks inside."""
    place = folder(store, entry, kind)
    return place is None or (place / _MANIFEST).is_file()


def prepare(store: ModelStore, entry: Entry, kind: EngineKind, progress: Progress = silent) -> None:
    """Make it, unless it is there. Raises `ConfigurationError`, which a note then remembers. Blocks."""
    place = folder(store, entry, kind)
    if place is None or kind.preparation is None or ready(store, entry, kind):
        return
    with store.alone(entry.id):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=place.parent) as draft:
            made = Path(draft) / "made"
            try:
                command = kind.preparation(store.path(entry), made)
                _run(isolation.preparing(command, store.prepared.parents[1]), Path(draft), progress)
            except _Failed as problem:
                note = _note(place, _NEVER if problem.never else _LATER)
                note.write_text(str(problem), encoding="utf-8")
                raise ConfigurationError(
                    str(problem), fix="name another engine for it in models.toml"
                ) from None
            (made / _MANIFEST).write_bytes(msgspec.json.encode(_hashes(made)))
            _clear(store, f"{_hash(entry)}-{kind.name}-*")
            made.replace(place)


def verify(place: Path) -> None:
    """Hash every file of what was made. Raises `ConfigurationError` if it is not as it was made."""
    fix = "antiphon models pull the snapshot again"
    try:
        hashes = msgspec.json.decode((place / _MANIFEST).read_bytes(), type=dict[str, str])
        found = _hashes(place)
    except (OSError, msgspec.DecodeError):
        raise ConfigurationError(f"What was made of the model in {place} is not whole", fix=fix) from None
    if found != hashes:
        raise ConfigurationError(f"What was made of the model in {place} was changed", fix=fix)


def remove(store: ModelStore, entry: Entry) -> None:
    """Delete all that was ever made of a snapshot's file, by any engine."""
    _clear(store, f"{_hash(entry)}-*")


def forget_failures(store: ModelStore, entry: Entry, *, all: bool = True) -> None:
    """Let what could not be made be tried again; without `all`, unless it never can be."""
    for suffix in (_LATER, *((_NEVER,) if all else ())):
        _clear(store, f"{_hash(entry)}-*{suffix}")


def _clear(store: ModelStore, pattern: str) -> None:
    for place in store.prepared.glob(pattern):
        place.unlink() if place.is_file() else shutil.rmtree(place)


def _hash(entry: Entry) -> str:
    """Of what everything is made of: the GGUF file, or all files of a folder."""
    if entry.format == "gguf":
        return next(file.sha256 for file in entry.files if file.name.endswith(".gguf"))[:16]
    listed = sorted((file.name, file.sha256) for file in entry.files)
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def _note(place: Path, suffix: str) -> Path:
    return place.with_name(place.name + suffix)


def _hashes(place: Path) -> dict[str, str]:
    files = (file for file in sorted(place.iterdir()) if file.name != _MANIFEST)
    return {file.name: sha256_of(file, lambda done: None) for file in files}


def _run(command: list[str], home: Path, progress: Progress) -> None:
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment(home),
            cwd=home,
        ) as process,
        _ended_if_silent(process) as heard,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            heard()
            try:
                step = msgspec.json.decode(line, type=_Step)
            except msgspec.DecodeError:
                continue  # a library's own word
            progress(step.step, step.done, step.total)
        if process.wait():
            complaints.seek(0)
            told = complaints.read().decode(errors="replace").strip().rpartition("\n")[2][:_TOLD]
            raise _Failed(told, process.returncode)


@contextmanager
def _ended_if_silent(process: subprocess.Popen[bytes]) -> Iterator[Callable[[], None]]:
    """Kills a process that is silent for too long, or still runs when the block is left by an error.

    Gives what to call whenever it said something.
    """
    word, over = threading.Event(), threading.Event()

    def watch() -> None:
        while word.wait(_SILENCE):
            word.clear()
            if over.is_set():
                return
        process.kill()

    def heard() -> None:
        word.set()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield heard
    except BaseException:
        process.kill()
        raise
    finally:
        over.set()
        word.set()
        watching.join()
