"""Where models are that others serve: only where the settings allow it, each key only at its own place."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from antiphon.address import Address
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.values import Deployment, Site

_PORTS = {"http": 80, "https": 443}
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
"""What may stand in a header, without blanks."""


def origin(url: str) -> str:
    """Scheme, host and port of a URL, the port always. Raises `ValueError` for one that has none of them."""
    scheme, host, port = _parts(url)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def check(snapshot: str, site: Site, settings: Settings) -> None:
    """Raise `ConfigurationError` unless the settings allow every origin of a site."""
    try:
        allowed = {origin(one) for one in settings.upstreams.split()}
    except ValueError as problem:
        raise ConfigurationError(f"upstreams: {problem}", fix="mend `upstreams`") from None
    for url in site.urls:
        if origin(url) not in allowed:
            raise ConfigurationError(
                f"'{snapshot}' is served at {origin(url)}, which the setting `upstreams` does not allow",
                fix=f"add {origin(url)} to `upstreams` (ANTIPHON_UPSTREAMS), if it may be asked",
            )


def reached(deployment: Deployment, replica: int, settings: Settings) -> Address:
    """See `EngineKind.reached`."""
    assert deployment.site is not None
    check(deployment.snapshot, deployment.site, settings)
    url = deployment.site.urls[replica]
    scheme, host, port = _parts(url)
    secret, base = _key(deployment.site.key_file), urlsplit(url).path.rstrip("/")
    return Address(host=host, port=port, secret=secret, tls=scheme == "https", base=base)


def _parts(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ValueError(f"'{url}' is no URL of a server")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _key(path: str) -> str:
    if not path:
        return ""
    fix = f"write the key alone into {path}, readable for Antiphon"
    try:
        with Path(path).open(encoding="utf-8") as file:
            found = file.read(8192).strip()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigurationError(f"The key in {path} cannot be read: {reason}", fix=fix) from None
    if not _KEY.fullmatch(found):
        raise ConfigurationError(f"What is in {path} cannot be a key", fix=fix)
    return found
