"""Where things of the site are, as its pages link to them: served below `/docs`, or written as files."""

from __future__ import annotations

import posixpath
from typing import Protocol


class Addresses(Protocol):
    """`name` is a page's name or the path of another file of the site; `on` the name of the linking page."""

    document: str
    """The OpenAPI document, as the API reference links to it."""
    console: str | None
    """The console, where there is one."""

    def key(self, name: str) -> str:
        """The name under which a page is found in the site."""
        ...

    def page(self, name: str, on: str) -> str: ...

    def file(self, name: str, on: str) -> str: ...

    def base(self, on: str) -> str:
        """What stands before an address from the index page, for a link on another page."""
        ...


class Served:
    """The gateway's: absolute, so that `/docs` needs no slash at its end."""

    document = "/openapi.json"
    console: str | None = "/"

    def key(self, name: str) -> str:
        return name

    def page(self, name: str, on: str) -> str:
        return f"/docs/{name}" if name else "/docs"

    def file(self, name: str, on: str) -> str:
        return f"/docs/{name}"

    def base(self, on: str) -> str:
        return ""


class Written:
    """Those of files: relative, so that the folder may lie anywhere, on a server or on a disk."""

    document = "openapi.json"
    console: str | None = None

    def key(self, name: str) -> str:
        return f"{name or 'index'}.html"

    def page(self, name: str, on: str) -> str:
        return self.file(self.key(name), on)

    def file(self, name: str, on: str) -> str:
        return posixpath.relpath(name, posixpath.dirname(self.key(on)) or ".")

    def base(self, on: str) -> str:
        return "../" * on.count("/")
