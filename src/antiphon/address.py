"""Where an engine process listens, and how a command line says it."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

SECRET = "ANTIPHON_ENGINE_SECRET"
"""The environment variable in which an engine process finds its secret: a command line can be read by all."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A Unix socket in a private folder, or a TCP port where whoever comes has to show the secret.

    `tls`: whether what goes over TCP is encrypted, and the other side has to prove that it is the host;
    `base`: what stands before every path of the API there.
    """

    path: str = ""
    """Of the socket; empty for TCP."""
    host: str = ""
    port: int = 0
    secret: str = ""
    tls: bool = False
    base: str = ""

    @property
    def authority(self) -> str:
        """Host and port as HTTP writes them; empty for a socket."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return "" if self.path else f"{host}:{self.port}"

    def __str__(self) -> str:
        """As `--listen` takes it. The secret is not part of it."""
        if self.path:
            return f"unix:{self.path}"
        return f"{'tls' if self.tls else 'tcp'}:{self.authority}"

    __repr__ = __str__


def listening(text: str, environment: Mapping[str, str] = os.environ) -> Address:
    """The address that `text` names, as `str(address)` writes it, with the secret of the environment.

    Raises `ValueError` for any other text, and for TCP without a secret.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return Address(path=rest)
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if kind != "tcp" or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"'{text}' is neither unix:/PATH nor tcp:HOST:PORT")
    secret = environment.get(SECRET, "")
    if not secret:
        raise ValueError(f"who listens on TCP needs a secret in {SECRET}")
    return Address(host=host, port=int(port), secret=secret)
