"""The table of routes: what is served, who may ask, and which handler answers. Everything else is refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec
from starlette.routing import compile_path

from antiphon.access.permissions import Permission
from antiphon.api.exchange import Exchange
from antiphon.errors import MethodNotAllowed, NotFound

Handler = Callable[[Exchange], Awaitable[None]]
Failing = Callable[[Exchange, BaseException], Awaitable[None]]


class Answer(msgspec.Struct, frozen=True):
    """One kind of 200 answer, for the OpenAPI document: a struct as JSON, or text of a media type."""

    media_type: str
    shape: Any = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `public` routes are the only ones that are answered without a key.

    Those of the console are answered to people who signed in, and say themselves, by `failing`, how they
    fail; no key opens them. Every other one names the permission that it `needs`; one that names none is
    closed to everybody. `body` is the JSON body's struct, `form` that of a multipart form with a `file` part,
    `query` that of the query.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    public: bool = False
    needs: Permission | None = None
    listed: bool = True
    body: Any = None
    form: Any = None
    query: Any = None
    answers: tuple[Answer, ...] = ()
    failing: Failing | None = None


class Router:
    """Finds the row for a request, by method and decoded path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._rows: list[tuple[re.Pattern[str], Route]] = [(compile_path(r.path)[0], r) for r in routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The row and the path's parameters, or None."""
        for route, found in self._matches(path):
            if route.method == method:
                return route, found.groupdict()
        return None

    def refusal(self, method: str, path: str) -> NotFound | MethodNotAllowed:
        """What to answer where `find` found nothing."""
        allowed = sorted({route.method for route, _ in self._matches(path)})
        shown = f"{method} {path[:200]}"
        if allowed:
            return MethodNotAllowed(f"Not allowed to {shown}. (HINT: use {' or '.join(allowed)})")
        return NotFound(f"Invalid URL ({shown})", code="unknown_url")

    def _matches(self, path: str) -> Iterator[tuple[Route, re.Match[str]]]:
        # What cannot be printed is nobody's id or name, and not every database takes it for text.
        if path.isprintable():
            for pattern, route in self._rows:
                if found := pattern.match(path):
                    yield route, found
