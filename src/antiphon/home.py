"""Where the data folder is, and what its file of settings says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from antiphon.errors import ConfigurationError

FILE_NAME = "antiphon.toml"
PREFIX = "ANTIPHON_"
"""Of what the environment says of settings."""


def home_folder(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Path:
    """The data folder, absolute. Alone among the settings it cannot come from the file, which lies in it."""
    environment = os.environ if environment is None else environment
    home = (flags or {}).get("home") or environment.get(PREFIX + "HOME") or _usual()
    return Path(home).expanduser().absolute()


def said(home: Path, known: Collection[str]) -> dict[str, Any]:
    """The settings that the file of a data folder names, all of them `known`; none without a file.

    Raises `ConfigurationError` for one that cannot be read, and for a name that is not known.
    """
    path = home / FILE_NAME
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}", fix="mend or remove the file") from None
    for name in found:
        if name not in known:
            raise ConfigurationError(f"{path}: there is no setting '{name}'", fix="see antiphon serve --help")
    return found


def _usual() -> str:
    return os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "antiphon")
