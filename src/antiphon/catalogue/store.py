"""The model files of this machine: `ANTIPHON_HOME/models/<snapshot>/<file>`.

A file is brought to a temporary name, hashed there and only then given its own, so whatever carries the name
of a model file has once been whole. What an interrupted download had is kept and continued. Everything here
blocks on disk and network: call it in a thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from antiphon.catalogue import sources
from antiphon.catalogue.digest import sha256_of
from antiphon.catalogue.entries import Entry, File, FileName, Found, SnapshotId, Source
from antiphon.errors import ConfigurationError

Progress = Callable[[str, int, int], None]
"""Called with the name of a file or a step, and how much of it is done of how much: bytes, or parts."""


def silent(file: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class ModelStore:
    """Brings, checks and removes the files of snapshots."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._models = home / "models"
        self._work = self._models / ".partial"
        self.prepared = self._models / ".prepared"
        """What was made of model files for engines that cannot read them: see `preparing`."""

    def path(self, entry: Entry) -> Path:
        """What an engine opens: the GGUF file, or the folder. Says nothing about whether it is there."""
        folder = self._models / entry.id
        files = [file.name for file in entry.files if file.name.endswith(".gguf")]
        return folder / files[0] if files else folder

    def installed(self, entry: Entry) -> bool:
        """Whether every file is there in its full size; `verify` looks inside. What is not here has none."""
        return all(_size(self._models / entry.id / file.name) == file.size for file in entry.files)

    def install(self, entry: Entry, progress: Progress = silent) -> None:
        """Bring every file that is missing or damaged. Raises `ConfigurationError`."""
        if entry.site is not None:
            raise ConfigurationError(
                f"'{entry.id}' is served at a URL: there is nothing to bring", fix="see antiphon doctor"
            )
        with self.alone(entry.id):
            for file in entry.files:
                self._place(entry.id, entry.source, file, progress)
            for stray in self._strays(entry):
                stray.unlink()

    def adopt(self, id: str, source: Source, found: list[Found], progress: Progress) -> tuple[File, ...]:
        """Bring the files of a snapshot that no catalogue knows yet, and say what they are."""
        with self.alone(id):
            return tuple(self._place(id, source, file, progress) for file in found)

    def verify(self, entry: Entry, progress: Progress = silent) -> None:
        """Hash every file again. Raises `ConfigurationError` with the file, its hash and the expected one."""
        fix = f"antiphon models pull {entry.id}"
        for file in entry.files:
            path = self._models / entry.id / file.name
            try:
                found = sha256_of(path, partial(_report, progress, file))
            except OSError as problem:
                raise ConfigurationError(f"{path} cannot be read: {problem.strerror}", fix=fix) from None
            if found != file.sha256:
                raise ConfigurationError(
                    f"{path} is damaged: sha256 {found}, expected {file.sha256}", fix=fix
                )
        for stray in self._strays(entry):
            raise ConfigurationError(f"{stray} does not belong to '{entry.id}'", fix=fix)

    def remove(self, id: str) -> bool:
        """Delete a snapshot's files, unfinished ones too. Says whether there were any."""
        with self.alone(id):
            folders = [folder for folder in (self._models / id, self._work / id) if folder.exists()]
            for folder in folders:
                shutil.rmtree(folder)
        return bool(folders)

    def _place(self, id: str, source: Source, file: Found, progress: Progress) -> File:
        report = partial(_report, progress, file)
        target = self._models / id / file.name
        if file.sha256 and _size(target) == file.size and sha256_of(target, report) == file.sha256:
            return _as_file(file, file.sha256)
        unfinished = self._work / id / f"{file.name}.{(file.sha256 or 'new')[:16]}"
        try:
            for folder in (target.parent, unfinished.parent):
                folder.mkdir(parents=True, exist_ok=True)
            found = sources.fetch(source, file, unfinished, report)
            if found != (file.sha256 or found):
                unfinished.unlink()
                raise ConfigurationError(
                    f"{file.name} was refused: sha256 {found}, expected {file.sha256}",
                    fix="pull again; if it stays so, the source holds another file now",
                )
            unfinished.replace(target)
        except OSError as problem:
            full = "; free some space" if problem.errno == errno.ENOSPC else ""
            raise ConfigurationError(
                f"{file.name} of '{id}' cannot be installed: {problem.strerror or problem}",
                fix=f"look at {self._models}{full}",
            ) from None
        return _as_file(file, found)

    def _strays(self, entry: Entry) -> Iterator[Path]:
        """Files that an engine would open though the manifest does not list them."""
        if entry.site is not None:
            return
        listed = {file.name for file in entry.files}
        for path in (self._models / entry.id).iterdir():
            if path.name not in listed and _fits(path.name, FileName):
                yield path

    @contextmanager
    def alone(self, id: str) -> Iterator[None]:
        """For as long as the block runs nobody else works at a snapshot's files, or `ConfigurationError`.

        Two installations at once would write into the same unfinished file.
        """
        if not _fits(id, SnapshotId):
            raise ConfigurationError(f"'{id}' cannot be a snapshot", fix="see antiphon models list")
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._work.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._work / f"{id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise ConfigurationError(
                f"{self._work} cannot be written: {problem.strerror}", fix="see antiphon doctor"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise ConfigurationError(
                f"Another process is installing '{id}'", fix="wait until it has finished"
            ) from None
        finally:
            os.close(descriptor)


def _as_file(file: Found, sha256: str) -> File:
    return File(name=file.name, size=file.size, sha256=sha256, parts=file.parts)


def _report(progress: Progress, file: Found, done: int) -> None:
    progress(file.name, done, file.size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1


def _fits(name: str, kind: Any) -> bool:
    try:
        msgspec.convert(name, kind)
    except msgspec.ValidationError:
        return False
    return True
