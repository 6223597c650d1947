"""What the handlers of this package share: bodies of a bounded size, names of requests, lists in pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from antiphon.api import body
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import HEADER, LONGEST_KEY
from antiphon.errors import InvalidRequest
from antiphon.wire.admin.lists import ListPage

BODY_BYTES = 65_536

S = TypeVar("S", bound=msgspec.Struct)
L = TypeVar("L", bound=ListPage)


async def read_body(exchange: Exchange, shape: type[S]) -> S:
    """The JSON body as `shape`. Raises as `body.read` does."""
    return await body.read(exchange, shape, BODY_BYTES)


async def read_body_if_any(exchange: Exchange, shape: type[S]) -> S:
    """The same where every field has a default, and a request may come without a body."""
    sent = exchange.headers.get("content-length", "0") != "0" or "transfer-encoding" in exchange.headers
    return await read_body(exchange, shape) if sent else shape()


def name_of(exchange: Exchange) -> str | None:
    """What the caller calls what it asks for, so that asking again after a lost answer gives no other.

    Raises `InvalidRequest`.
    """
    name = exchange.headers.get(HEADER.lower())
    if name is not None and not (0 < len(name) <= LONGEST_KEY and name.isascii() and name.isprintable()):
        raise InvalidRequest(
            f"The header '{HEADER}' must have 1 to {LONGEST_KEY} printable ASCII characters.",
            param=HEADER,
            code="invalid_idempotency_key",
        )
    return name


def list_page(shape: Callable[..., L], data: Sequence[Any], has_more: bool, **more: Any) -> L:
    """A page of `data`, each of which has an id."""
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return shape(data=data, first_id=first, last_id=last, has_more=has_more, **more)
