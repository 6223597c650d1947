"""The whole state of a server in two files, while it runs: its data, and the keys that open them.

Only one file of keys is kept in a folder, the newest: what was forgotten by destroying its key is forgotten
in every older file of data too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from sqlalchemy.engine import make_url

from antiphon.access.pepper import connected
from antiphon.errors import ConfigurationError
from antiphon.operations import artefacts, key_rows
from antiphon.operations.artefacts import Manifest, Progress, Writer
from antiphon.operations.parts import PARTS, Artefact, files, unknown
from antiphon.settings import DATABASE_NAME, Settings
from antiphon.settings import KEYS_NAME as KEYS_DATABASE
from antiphon.storage import audit, copies
from antiphon.storage.database import Database
from antiphon.storage.files import wipe, write_over
from antiphon.storage.migrations import state

KEYS_NAME = "antiphon-keys.tar"
ROWS_NAME = "database.jsonl"
"""The rows of a database that is no file."""
ENDING = ".tar"
_STAGING = ".antiphon-backup-"
_STATEMENT_SECONDS = 600.0
_RECORD_SECONDS = 30.0


class Backup(msgspec.Struct, frozen=True):
    """Where one lies."""

    data: Path
    keys: Path
    bytes: int
    """Of both."""
    note: str = ""
    """Why it is not in the audit log, if it is not."""
    left_out: Sequence[str] = ()
    """Names in the data folder of what is not Antiphon's own."""


def target_of(given: Path, now: float) -> Path:
    """The file of data of a backup at `given`: that itself, or in a folder one with the time in its name."""
    if given.suffix == ENDING:
        return given
    return given / f"antiphon-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}{ENDING}"


async def back_up(settings: Settings, given: Path, show: Progress, *, models: bool = False) -> Backup:
    """Copy all there is to `given`, a folder or the file of data, beside which the file of keys is replaced.

    Raises `ConfigurationError` if there is nothing to copy, or if the place cannot be used or is taken;
    `StorageFull`, `Unavailable`. Nothing is there then, nor where the audit log cannot be written.
    """
    target = target_of(given, time.time())
    url = make_url(settings.database_url)
    sqlite = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    if sqlite is not None and not sqlite.exists():
        raise ConfigurationError(
            f"there is no database at {sqlite}", fix="name the data folder with --home (ANTIPHON_HOME)"
        )
    if target.name == KEYS_NAME:
        raise ConfigurationError(
            f"{KEYS_NAME} is what the file of keys is called, which lies beside that of data",
            fix="choose another name for the file of data, or name a folder",
        )
    if target.exists():
        raise ConfigurationError(f"{target} is there already", fix="choose another name")
    if key_rows.address(settings):
        await key_rows.check(settings)
    with _staging(target.parent) as folder:
        making = _Making(settings, folder, show, models, sqlite)
        data = await making.data()
        keys = await making.keys()
        size = data.stat().st_size + keys.stat().st_size
        note = await _record(settings, target, models)
        # The keys first: data without them open nothing, and keys without these data do no harm.
        await asyncio.to_thread(_replace, keys, target.with_name(KEYS_NAME))
        await asyncio.to_thread(_publish, data, target)
    left_out = await asyncio.to_thread(unknown, settings.home_path)
    return Backup(target, target.with_name(KEYS_NAME), size, note, left_out)


async def _record(settings: Settings, target: Path, models: bool) -> str:
    """Say in the audit log that a copy of everything is handed out; if its tables are older, why not."""
    payload = {"id": target.name, "data": {"folder": str(target.parent), "models": models}}
    async with await connected(settings.database_url, settings.home_path, _RECORD_SECONDS) as database:
        if not (found := await state(database)).current:
            return (
                f"It is not in the audit log: the database is at revision {found.revision}, "
                f"and this version writes to {found.head}."
            )
        async with database.begin() as connection:
            await audit.record(
                connection, "backup.created", payload, organization_id=None, by=None, now=time.time()
            )
    return ""


class _Making:
    """One backup on its way, in a folder of its own."""

    def __init__(
        self, settings: Settings, folder: Path, show: Progress, models: bool, sqlite: Path | None
    ) -> None:
        self._settings, self._home = settings, settings.home_path
        self._folder, self._show, self._models, self._sqlite = folder, show, models, sqlite
        self._keys_url = key_rows.address(settings)
        self._began = int(time.time())
        self._revision = ""

    async def data(self) -> Path:
        draft = self._folder / "data"
        with artefacts.writing(draft, self._show) as writer:
            if self._sqlite is not None:
                await asyncio.to_thread(self._add, writer, "data")
            else:
                # What is on its way there first, and then the database: see `parts`.
                await asyncio.to_thread(self._add, writer, "data", "journal")
                rows = await self._rows()
                await asyncio.to_thread(writer.add, ROWS_NAME, rows)
                await asyncio.to_thread(rows.unlink)
                await asyncio.to_thread(self._add, writer, "data")
            writer.close(self._manifest("data", writer))
        return draft

    async def keys(self) -> Path:
        draft = self._folder / "keys"
        with artefacts.writing(draft, self._show) as writer:
            if self._keys_url:
                rows = await key_rows.dump(self._keys_url, self._folder, self._show)
                await asyncio.to_thread(writer.add, key_rows.NAME, rows)
                await asyncio.to_thread(wipe, rows)
            await asyncio.to_thread(self._add, writer, "keys")
            writer.close(self._manifest("keys", writer))
        return draft

    def _manifest(self, artefact: Artefact, writer: Writer) -> Manifest:
        return Manifest(
            artefact=artefact,
            made_at=self._began,
            kind="postgresql" if self._sqlite is None else "sqlite",
            revision=self._revision,
            home=str(self._home.absolute()),
            files=writer.files,
        )

    def _add(self, writer: Writer, artefact: Artefact, only: str = "") -> None:
        for part in PARTS:
            wanted = not part.models or self._models
            if part.artefact != artefact or not wanted or (only and part.pattern != only):
                continue
            if part.kind == "sqlite":
                self._add_database(writer, part.pattern)
                continue
            for path in files(self._home, part):
                name = path.relative_to(self._home).as_posix()
                if name not in writer.files:
                    writer.add(name, path)

    def _add_database(self, writer: Writer, name: str) -> None:
        source: Path | None = self._home / name
        if name == DATABASE_NAME:
            source = self._sqlite
        elif name == KEYS_DATABASE and self._keys_url:
            source = None  # one from before the setting: its keys are in use no more
        if source is None or not source.exists():
            return
        copy = self._folder / name
        revision = copies.copy_file(source, copy, partial(self._show, f"reading {name}"))
        if name == DATABASE_NAME:
            self._revision = revision
        writer.add(name, copy)
        if name == KEYS_DATABASE:
            wipe(copy)
        else:
            copy.unlink()

    async def _rows(self) -> Path:
        path = self._folder / ROWS_NAME
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:  # noqa: ASYNC230
            async with Database(self._settings.database_url, _STATEMENT_SECONDS) as database:
                show = partial(self._show, "reading the database")
                self._revision = await copies.dump(database, file.write, show)
        return path


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """A private folder beside what is to be made; those that were left behind by others go now."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in place.glob(f"{_STAGING}*"):
            if not _alive(left.name.removeprefix(_STAGING).split("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=place))
    except OSError as problem:
        raise artefacts.unusable(place, problem) from problem
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _publish(draft: Path, target: Path) -> None:
    draft.rename(target)
    _sync(target.parent)


def _replace(draft: Path, target: Path) -> None:
    """Put keys in the place of older ones, of which nothing is to be left: they are written over."""
    try:
        before = target.open("r+b")
    except FileNotFoundError:
        draft.replace(target)
        return _sync(target.parent)
    with before:
        draft.replace(target)
        _sync(target.parent)
        write_over(before)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
