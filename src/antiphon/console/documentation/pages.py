"""`/docs` and what is below it: the documentation, for everybody."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from antiphon.api.exchange import Exchange
from antiphon.api.own_address import in_page, in_script, own_address
from antiphon.api.reference import CSP, Contents
from antiphon.api.routes import Route
from antiphon.console.documentation import outline
from antiphon.console.documentation.addresses import Served
from antiphon.console.documentation.site import MISSING, build
from antiphon.errors import NotFound

HTML = "text/html; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": SCRIPT,
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


class File(msgspec.Struct, frozen=True):
    body: bytes
    kind: str
    digest: bytes

    def named(self, address: str) -> tuple[bytes, str]:
        """What is sent to whoever reaches this server at `address`, which its examples name; and its ETag."""
        tag = hashlib.sha256(self.digest + address.encode()).hexdigest()[:24]
        write = _WRITERS.get(self.kind)
        return write(self.body, address) if write else self.body, f'"{tag}"'


_WRITERS = {HTML: in_page, SCRIPT: in_script}


class Documentation:
    """Made once, beside the event loop, when somebody asks for the first page; then kept.

    `public_url` as the setting has it.
    """

    def __init__(self, public_url: str = "") -> None:
        self._public = public_url
        self._files: Mapping[str, File] = {}
        self._making = asyncio.Lock()
        self._reference = Contents("", ())

    def refer(self, reference: Contents) -> None:
        """Take what the API reference shows. Called once, by the composition root."""
        self._reference = reference

    def rows(self) -> list[Route]:
        """The rows of the table; those of the API reference have to stand before them."""
        return [
            Route(
                method="GET",
                path=path,
                handler=self.show,
                summary="The documentation.",
                public=True,
                listed=False,
            )
            for path in ("/docs", "/docs/{name:path}")
        ]

    async def show(self, exchange: Exchange) -> None:
        """A page or another file of the site; 304 to who has it; where there is none, a page that says so.

        Raises `NotFound` for what no link of the site could be.
        """
        files = await self._ready()
        name = exchange.parameters.get("name", "").removesuffix(".md")
        if ".." in name.split("/"):
            raise NotFound("There is no such page.", code="unknown_url")
        known = name in files and name != MISSING
        file, status = files[name if known else MISSING], 200 if known else 404
        body, tag = file.named(own_address(exchange, self._public))
        headers = {"content-security-policy": CSP, "cache-control": "no-cache", "etag": tag}
        if status == 200 and tag in exchange.headers.get("if-none-match", ""):
            await exchange.answer(b"", file.kind, 304, headers)
        else:
            await exchange.answer(body, file.kind, status, headers)

    async def reference(self) -> bytes:
        """The API reference, a page of the site."""
        return (await self._ready())[outline.REFERENCE.name].body

    async def _ready(self) -> Mapping[str, File]:
        async with self._making:
            if not self._files:
                self._files = await asyncio.to_thread(_make, self._reference)
            return self._files


def _make(reference: Contents) -> Mapping[str, File]:
    site = build(outline.read(outline.root()), Served(), reference)
    return {name: _file(name, body) for name, body in site.items()}


def _file(name: str, body: bytes) -> File:
    kind = KINDS.get(PurePosixPath(name).suffix, HTML)
    return File(body, kind, hashlib.sha256(body).digest())
