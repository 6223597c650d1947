"""Where encrypted recordings lie: in a folder of this machine, or in storage that speaks S3.

What expires on a day is under the name of that day, so that all of it can be found without the database.
Everything here blocks on a disk or the network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from antiphon.errors import StorageFull
from antiphon.privacy.days import is_day
from antiphon.privacy.recordings import read
from antiphon.storage.files import NO_SPACE

FOLDER = "content"
"""In the data folder."""


class Missing(Exception):
    """There is no such recording here."""


class Place(Protocol):
    """Names are `day/name`. Raises `OSError`, or `StorageFull`."""

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep these, durably, whole or not at all."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """What was put. Raises `Missing`."""

    def delete(self, names: Sequence[str]) -> None:
        """See that these are gone; one that is not there is."""

    def sweep(self, before: str) -> None:
        """Delete whatever expired on days before this one (YYYY-MM-DD), and nothing that has another name."""


class Folder:
    """A folder that only its owner may enter."""

    def __init__(self, home: Path) -> None:
        self._root = home / FOLDER

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        path = self._root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.partial")
        try:
            with draft.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except Exception as problem:  # of the disk, or of where the pieces come from
            draft.unlink(missing_ok=True)
            if isinstance(problem, OSError) and problem.errno in NO_SPACE:
                raise StorageFull("There is no space left to store this.") from problem
            raise

    def pieces(self, name: str) -> Iterator[bytes]:
        path = self._root / name
        if not path.exists():
            raise Missing(f"the recording {name} is not on this machine")
        return read(path)

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            (self._root / name).unlink(missing_ok=True)

    def sweep(self, before: str) -> None:
        if not self._root.exists():
            return
        for day in self._root.iterdir():
            # Whatever else lies here is not ours to delete.
            if is_day(day.name) and day.name < before and day.is_dir():
                with suppress(FileNotFoundError):  # another process sweeps as well
                    shutil.rmtree(day)
