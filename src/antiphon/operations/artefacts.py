"""The files of a backup: private tar archives that end with a list of what is in them, each with its sha256.

One is written under another name and gets its own when it is whole, so half of one is never taken for it.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from antiphon import __version__
from antiphon.errors import ConfigurationError, StorageFull
from antiphon.operations.parts import Artefact
from antiphon.storage.files import NO_SPACE

MANIFEST = "manifest.json"
FORMAT = 1
_PIECE = 1 << 20
_MANIFEST_BYTES = 1 << 28
_FIX = "take another backup"

Progress = Callable[[str, int, int], None]
"""Told which file is copied, how many bytes of it are done, and how many it has."""


class Member(msgspec.Struct, frozen=True):
    """One file in an artefact."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in an artefact, and what it is of."""

    format: int = FORMAT
    artefact: Artefact
    version: str = __version__
    made_at: int
    """Unix seconds."""
    kind: str
    """Of the main database: sqlite or postgresql."""
    revision: str
    """Of its tables; empty if it had none."""
    home: str = ""
    """The data folder; empty where the version that wrote it did not say."""
    files: Mapping[str, Member]


class Writer:
    """Puts files into an artefact, one after the other."""

    def __init__(self, archive: tarfile.TarFile, show: Progress) -> None:
        self._archive = archive
        self._show = show
        self.files: dict[str, Member] = {}

    def add(self, name: str, path: Path) -> None:
        """A file, as long as it is now. Nothing happens if it is gone by now."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            self._add(name, file, os.fstat(file.fileno()).st_size)

    def _add(self, name: str, file: IO[bytes], size: int) -> None:
        reader = _Reader(file, lambda done: self._show(name, done, size))
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size, 0o600, int(time.time())
        self._archive.addfile(entry, reader)
        self.files[name] = Member(size, reader.sha256.hexdigest())

    def close(self, manifest: Manifest) -> None:
        data = msgspec.json.format(msgspec.json.encode(manifest))
        self._add(MANIFEST, io.BytesIO(data), len(data))


class _Reader:
    """Reads a file, and takes the digest of what was read."""

    def __init__(self, file: IO[bytes], show: Callable[[int], None]) -> None:
        self._file = file
        self._show = show
        self._done = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self._done += len(data)
        self._show(self._done)
        return data


@contextmanager
def writing(draft: Path, show: Progress) -> Iterator[Writer]:
    """A new artefact at `draft`, durable at the end. Raises `StorageFull` or `ConfigurationError`."""
    try:
        with open(draft, "wb", opener=_private) as file:
            with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                yield Writer(archive, show)
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise unusable(draft.parent, problem) from problem


def read(path: Path, take: Callable[[str, IO[bytes]], None], show: Progress) -> Manifest:
    """Read an artefact to its end: `take` has each file's name, and what it reads to the end.

    Raises `ConfigurationError` if anything in it is not what it was when it was written.
    """
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for entry in archive:
                if manifest is not None or not entry.isfile() or not _inside(entry.name):
                    raise _damaged(path, f"it holds {entry.name!r}")
                content = archive.extractfile(entry)
                assert content is not None
                if entry.name == MANIFEST:
                    manifest = msgspec.json.decode(content.read(_MANIFEST_BYTES), type=Manifest)
                    continue
                found[entry.name] = _taken(entry, content, take, show)
    except (tarfile.TarError, msgspec.DecodeError, EOFError) as problem:
        raise _damaged(path, str(problem)) from None
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem.strerror}", fix=_FIX) from None
    if manifest is None:
        raise _damaged(path, "its end is missing")
    if manifest.format != FORMAT:
        raise ConfigurationError(
            f"{path} was made by Antiphon {manifest.version}, in a form that is not known here",
            fix="restore with that version, or a newer one",
        )
    for name in sorted(found.keys() | manifest.files.keys()):
        if found.get(name) != manifest.files.get(name):
            raise _damaged(path, f"{name} is not what it was")
    return manifest


def nothing(name: str, file: IO[bytes]) -> None:
    """Take a file, and do nothing with it."""
    while file.read(_PIECE):
        continue


def unusable(folder: Path, problem: OSError) -> StorageFull | ConfigurationError:
    if problem.errno in NO_SPACE:
        return StorageFull(f"There is no space left in {folder}.")
    return ConfigurationError(f"{folder} cannot be used: {problem.strerror}", fix="choose another folder")


def _taken(
    entry: tarfile.TarInfo, content: IO[bytes], take: Callable[[str, IO[bytes]], None], show: Progress
) -> Member:
    reader = _Reader(content, lambda done: show(entry.name, done, entry.size))
    take(entry.name, reader)  # type: ignore[arg-type]  # what it needs is `read`
    nothing(entry.name, reader)  # type: ignore[arg-type]
    return Member(entry.size, reader.sha256.hexdigest())


def _inside(name: str) -> bool:
    steps = PurePosixPath(name)
    return bool(name) and not steps.is_absolute() and ".." not in steps.parts and "\0" not in name


def _damaged(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(f"{path} is damaged, or no backup: {why}", fix=_FIX)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
