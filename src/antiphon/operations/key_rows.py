"""The keys of content in a backup, where they lie in a database that the setting `content_keys` names.

Their rows go into the file of keys, and from there into an empty database.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from antiphon.errors import ConfigurationError, Unavailable
from antiphon.operations.artefacts import Progress
from antiphon.privacy.keys import check_apart, check_named_apart
from antiphon.settings import KEYS_NAME, Settings
from antiphon.storage import copies
from antiphon.storage.content_tables import key_metadata, sealing_key
from antiphon.storage.database import Database
from antiphon.storage.files import wipe

NAME = "content-keys.jsonl"
"""In the file of keys."""
SETTING = "content_keys"
OPTION = "--content-keys"
_STATEMENT_SECONDS = 60.0
_EXAMPLE = "as postgresql://user@host/name"


def address(settings: Settings) -> str:
    """Where the keys are, if not in the data folder's own file; else empty."""
    url = settings.content_keys
    file = _file(url)
    own = file is not None and file.absolute() == settings.home_path / KEYS_NAME
    return "" if own else url


async def check(settings: Settings) -> None:
    """See that there are keys to copy where the setting says. Raises `ConfigurationError`."""
    check_named_apart(settings)
    async with _opened(settings.content_keys, SETTING) as store, store.connect() as connection:
        await connection.run_sync(check_apart)
        if not await connection.run_sync(lambda known: inspect(known).has_table(sealing_key.name)):
            raise ConfigurationError(
                f"the database that {SETTING} names has no table of keys: {store.address}",
                fix="start the server first, or mend the setting",
            )


async def dump(url: str, folder: Path, show: Progress) -> Path:
    """A private file of the rows, as they stand at one moment. Raises `ConfigurationError`."""
    path = folder / NAME
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:  # noqa: ASYNC230
        async with _opened(url, SETTING) as store:
            await copies.dump(store, file.write, partial(show, "reading the keys"), key_metadata)
    return path


async def check_room(draft: Path, url: str, database_url: str) -> None:
    """See that the keys which were extracted to `draft` can go where they are to.

    Raises `ConfigurationError` if that is not said, is no empty database, or is the one of the content.
    """
    if not (draft / NAME).exists():
        if url:
            raise ConfigurationError(
                "the keys in the backup are of a data folder, and are restored into one",
                fix=f"leave {OPTION} away",
            )
        return
    if not url:
        raise ConfigurationError(
            f"the keys in the backup are of a database that the setting {SETTING} named",
            fix=f"name an empty one with {OPTION}, {_EXAMPLE}",
        )
    if url == database_url:
        raise ConfigurationError(f"{OPTION} names the database of the content", fix="name another database")
    async with _opened(url, OPTION, new=True) as store:
        async with store.connect() as connection:
            await connection.run_sync(check_apart)
        if not await copies.is_empty(store, key_metadata):
            raise ConfigurationError(
                f"the database that {OPTION} names has keys already",
                fix="name an empty one; the newer keys are those to go on with",
            )


async def load(draft: Path, url: str, show: Progress) -> None:
    """Move the keys extracted to `draft` into their database; nothing happens if there are none."""
    rows = draft / NAME
    if not rows.exists():
        return
    async with _opened(url, OPTION, new=True) as store:
        with rows.open("rb") as lines:
            await copies.load(store, lines, partial(show, "restoring the keys"), key_metadata)
    await asyncio.to_thread(wipe, rows)


def _file(url: str) -> Path | None:
    """The file that an address of SQLite names; None for others."""
    if not url.startswith("sqlite"):
        return None
    return Path(make_url(url).database or "")


@asynccontextmanager
async def _opened(url: str, named_by: str, *, new: bool = False) -> AsyncIterator[Database]:
    """The database; what is wrong with it is told with the name of who named it. `new`: it may be made."""
    database = Database(url, _STATEMENT_SECONDS)
    file = _file(url)
    if file is not None and not new and not file.exists():
        raise ConfigurationError(
            f"{named_by} names {file}, and there is no such file", fix="start the server first, or mend it"
        )
    try:
        async with database:
            yield database
    except Unavailable as problem:
        raise ConfigurationError(
            f"the database that {named_by} names cannot be used: {database.address}",
            fix=f"start it, or mend {named_by}",
        ) from problem
