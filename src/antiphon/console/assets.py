"""Style sheets, scripts and images of the console, which ship with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files

from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset:
    """One file, read once; browsers ask whether it changed."""

    def __init__(self, name: str, content: bytes, path: str = "") -> None:
        self.path = path or f"/console/{name}"
        self._content = content
        self._kind = KINDS[name[name.rindex(".") :]]
        self._headers = {
            "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            "cache-control": "public, max-age=0, must-revalidate",
        }

    async def answer(self, exchange: Exchange) -> None:
        if exchange.headers.get("if-none-match") == self._headers["etag"]:
            await exchange.answer(b"", self._kind, 304, self._headers)
        else:
            await exchange.answer(self._content, self._kind, headers=self._headers)

    def row(self) -> Route:
        return Route(
            method="GET",
            path=self.path,
            handler=self.answer,
            summary="A file of the console.",
            public=True,
            listed=False,
        )


def assets() -> Iterator[Asset]:
    """Every file of `static`, and the library that draws plots."""
    for file in sorted((files("antiphon.console") / "static").iterdir(), key=lambda one: one.name):
        yield Asset(file.name, file.read_bytes())
    # Where browsers look by themselves, for pages that name none.
    icon = files("antiphon.console") / "static" / "icon.svg"
    yield Asset("icon.svg", icon.read_bytes(), "/favicon.ico")
    yield Asset("plotly.js", (files("plotly") / "package_data" / "plotly.min.js").read_bytes())
