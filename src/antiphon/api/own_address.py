"""Where whoever asks reaches this server, and pages whose examples name that address."""

from __future__ import annotations

import re
from html import escape

import msgspec

from antiphon.api.exchange import Exchange

EXAMPLE = "http://127.0.0.1:8000"
"""What the examples name as they are written."""
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def own_address(exchange: Exchange, public_url: str) -> str:
    """As `https://ai.example.com`: the setting `public_url`, else the host that the client asked for.

    Nothing else tells of a proxy before this server; a host that is none is never repeated.
    """
    host = exchange.headers.get("host", "")
    return public_url or (f"http://{host}" if _HOST.fullmatch(host) else EXAMPLE)


def in_page(page: bytes, address: str) -> bytes:
    """HTML whose examples name this address."""
    return page.replace(EXAMPLE.encode(), escape(address).encode())


def in_script(script: bytes, address: str) -> bytes:
    """The same with a script, whose examples are in strings."""
    return script.replace(EXAMPLE.encode(), msgspec.json.encode(address)[1:-1])
