"""A server's whole state, from the two files of a backup into an empty data folder."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import msgspec

from antiphon.access.pepper import connected
from antiphon.catalogue.document import FILE_NAME as MODELS_NAME
from antiphon.errors import ConfigurationError
from antiphon.home import FILE_NAME
from antiphon.operations import artefacts, key_rows
from antiphon.operations.artefacts import Manifest, Progress
from antiphon.operations.backup import KEYS_NAME as KEYS_FILE
from antiphon.operations.backup import ROWS_NAME
from antiphon.operations.parts import Artefact
from antiphon.privacy.keys import Keys
from antiphon.privacy.places import Folder
from antiphon.privacy.purging import forget
from antiphon.settings import DATABASE_NAME, KEYS_NAME
from antiphon.storage import audit, copies
from antiphon.storage.content_tables import key_metadata
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade

DRAFT = ".restoring"
"""In the data folder: what is not whole yet. Nothing is served from there."""
_STATEMENT_SECONDS = 600.0
_FIX = "name the file of data first, and that of keys with --keys"


class Restored(msgspec.Struct, frozen=True):
    """What was restored, and from when."""

    home: Path
    made_at: int
    revision: str
    """Of the tables in the backup; by now they are this version's."""
    files: int
    note: str = ""
    """What is left for the operator to do."""
    forgotten: int = 0
    """Requests in the backup that were left out: their keys were destroyed since."""


def verified(data: Path, keys: Path | None, show: Progress) -> tuple[Manifest, Manifest | None]:
    """Read a backup to its end. Raises `ConfigurationError` if anything is not as it was written."""
    found = _read(data, "data", artefacts.nothing, show)
    return found, None if keys is None else _read(keys, "keys", artefacts.nothing, show)


def keys_beside(data: Path) -> Path:
    return data.with_name(KEYS_FILE)


async def restore(
    data: Path, keys: Path, home: Path, database_url: str, show: Progress, *, keys_url: str = ""
) -> Restored:
    """Restore into `home`, which must be empty; `database_url` names an empty database for rows that were of
    one that is no file, and is empty otherwise. So does `keys_url` for keys that `content_keys` named.

    Nothing is there until all of it was found to be as it was written, and was brought to this version's
    tables. Raises `ConfigurationError`, `StorageFull`, `Unavailable`.
    """
    await asyncio.to_thread(_make_empty, home)
    draft = home / DRAFT
    try:
        opening = await asyncio.to_thread(_read, keys, "keys", partial(_extract, draft), show)
        manifest = await asyncio.to_thread(_read, data, "data", partial(_extract, draft), show)
        databases = await asyncio.to_thread(_own_databases, draft, manifest.kind)
        paths = await asyncio.to_thread(_own_paths, draft, manifest.home, home)
        await key_rows.check_room(draft, keys_url, database_url)
        restored = await _restore_database(draft, manifest, database_url, show)
        await key_rows.load(draft, keys_url, show)
        forgotten = 0
        if restored:
            forgotten = await _forget(restored, draft, keys_url)
            await _record(restored, draft, data.name, manifest, forgotten)
        await asyncio.to_thread(_move, draft, home)
    except OSError as problem:
        raise artefacts.unusable(home, problem) from problem
    finally:
        await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
    count = len(manifest.files) + len(opening.files)
    note = " ".join(filter(None, (databases, paths)))
    return Restored(home, manifest.made_at, manifest.revision, count, note, forgotten)


def _read(path: Path, artefact: Artefact, take: Callable[[str, IO[bytes]], None], show: Progress) -> Manifest:
    found = artefacts.read(path, take, show)
    if found.artefact != artefact:
        raise ConfigurationError(
            f"{path} holds the {found.artefact} of a backup, and not its {artefact}",
            fix=_FIX,
        )
    return found


def _make_empty(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(home, 0o700)
        shutil.rmtree(home / DRAFT, ignore_errors=True)  # of a restore that was broken off
        if left := sorted(path.name for path in home.iterdir()):
            raise ConfigurationError(
                f"the data folder {home} is not empty: it holds {left[0]}",
                fix="name a new folder with --home (ANTIPHON_HOME)",
            )
        (home / DRAFT).mkdir(mode=0o700)
    except OSError as problem:
        raise artefacts.unusable(home, problem) from problem


def _extract(folder: Path, name: str, content: IO[bytes]) -> None:
    target = folder / name
    for parent in reversed(target.relative_to(folder).parents):
        (folder / parent).mkdir(mode=0o700, exist_ok=True)
    if target.exists():
        raise ConfigurationError(f"{name} is in both files: one of them is the wrong one", fix=_FIX)
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _own_databases(draft: Path, kind: str) -> str:
    """Take the addresses of the former databases out of the settings: what is restored are other ones."""
    of_keys = "" if (draft / key_rows.NAME).exists() else "The keys of content lie"
    told = [
        _own_database(draft / FILE_NAME, "database", "The database lies" if kind == "sqlite" else ""),
        _own_database(draft / FILE_NAME, key_rows.SETTING, of_keys),
    ]
    return " ".join(filter(None, told))


def _own_database(file: Path, name: str, here: str) -> str:
    """What the operator is told of the setting; `here` begins that, where it is not needed any more."""
    text = file.read_text() if file.exists() else ""
    mine = re.sub(rf"(?m)^\s*{name}\s*=", f"# before the restore: {name} =", text)
    told = f"its setting `{name}` is taken out of antiphon.toml" if mine != text else ""
    if told:
        file.write_text(mine)
    if here:
        return f"{here} in the data folder now: {told}." if told else ""
    return f"Set `{name}` (ANTIPHON_{name.upper()}) to the restored one{': ' + told if told else ''}."


def _own_paths(draft: Path, former: str, home: Path) -> str:
    """Have settings and models name files of this data folder, as keys of upstreams, where they named those
    of the former folder; what the operator is told of it."""
    here, changed = str(home.absolute()), []
    if not former or former == here:
        return ""
    for name in (FILE_NAME, MODELS_NAME):
        file = draft / name
        text = file.read_text() if file.exists() else ""
        mine = re.sub(rf"""(?<=["']){re.escape(former)}(?=/)""", lambda _: here, text)
        if mine != text:
            file.write_text(mine)
            changed.append(name)
    return f"Paths in {' and '.join(changed)} lead into {here} now, not into {former}." if changed else ""


async def _restore_database(draft: Path, manifest: Manifest, url: str, show: Progress) -> str:
    """The address of what was restored; empty where there was nothing."""
    rows = draft / ROWS_NAME
    if rows.exists():
        if not url:
            raise ConfigurationError(
                "the backup is of a database that is no file",
                fix="name an empty one with --database, as postgresql://user@host/name",
            )
        async with await connected(url, draft, _STATEMENT_SECONDS) as database:
            with rows.open("rb") as lines:
                await copies.load(database, lines, partial(show, "restoring the database"))
            await upgrade(database)
        rows.unlink()
        return url
    if url:
        raise ConfigurationError(
            "the backup is of an SQLite database, which is restored into the data folder",
            fix="leave --database away",
        )
    if DATABASE_NAME not in manifest.files:
        return ""
    own = f"sqlite+aiosqlite:///{draft / DATABASE_NAME}"
    async with await connected(own, draft, _STATEMENT_SECONDS) as database:
        await upgrade(database)
    return own


async def _forget(url: str, draft: Path, keys_url: str) -> int:
    """Leave out what nothing opens any more, with the names of keys that there are no more: nothing could be
    written under these. How many requests it was."""
    own = f"sqlite+aiosqlite:///{draft / KEYS_NAME}"
    async with await connected(url, draft, _STATEMENT_SECONDS) as database:
        async with Database(keys_url or own, _STATEMENT_SECONDS) as store:
            async with store.alone() as connection:
                await connection.run_sync(key_metadata.create_all)
            lost = await Keys(database, store).lost()
        number, recordings = await database.run(partial(forget, keys=lost))
    await asyncio.to_thread(Folder(draft).delete, recordings)
    return number


async def _record(url: str, draft: Path, name: str, manifest: Manifest, forgotten: int) -> None:
    """Say in the restored audit log what it is from: what came after that is not in it."""
    about = {"made_at": manifest.made_at, "version": manifest.version, "revision": manifest.revision}
    about |= {"forgotten": forgotten}
    async with await connected(url, draft) as database, database.begin() as connection:
        await audit.record(
            connection,
            "backup.restored",
            {"id": name, "data": about},
            organization_id=None,
            by=None,
            now=time.time(),
        )


def _move(draft: Path, home: Path) -> None:
    """All at once as far as a file system lets: the database, without which nothing is served, comes last."""
    last = {f"{DATABASE_NAME}{ending}" for ending in ("", "-wal", "-shm")}
    for path in sorted(draft.iterdir(), key=lambda path: path.name in last):
        path.rename(home / path.name)
