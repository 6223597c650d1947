"""JSON bodies, read strictly: what JSON forbids, and what it leaves open, is refused."""

from __future__ import annotations

import asyncio
import json
import math
import re
from itertools import islice
from typing import Any, TypeVar

from antiphon.api.exchange import Exchange
from antiphon.api.validation import convert
from antiphon.errors import InvalidRequest, UnsupportedMediaType

T = TypeVar("T")

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_LARGE = 65_536
"""Bytes from which parsing moves off the event loop."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)
_VALUES = 200_000
"""Strings, commas and brackets that a body may have: one of little else unpacks to many times its size."""


async def read(exchange: Exchange, shape: type[T], limit: int) -> T:
    """The JSON body as `shape`. Raises `InvalidRequest`, `TooLarge` or `UnsupportedMediaType`."""
    return await decode(await receive(exchange, limit), shape)


async def receive(exchange: Exchange, limit: int) -> bytes:
    """The bytes of a JSON body, once it is its turn.

    Raises `TooLarge` or `UnsupportedMediaType`; `RateLimited` if there is no time for it.
    """
    require_identity(exchange)
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMediaType(f"Send the body as 'application/json', not '{kind[:100]}'.")
    content = bytearray()
    async for piece in exchange.body(limit):
        content += piece
    if exchange.turn is not None:
        await exchange.turn()
    exchange.asked = bytes(content)
    return exchange.asked


async def decode(content: bytes, shape: type[T], *, values: int = _VALUES) -> T:
    """A JSON body as `shape`, of so many values at most. Raises `InvalidRequest`."""
    if len(content) < _LARGE:
        return convert(parse(content, values), shape)
    return await asyncio.to_thread(lambda: convert(parse(content, values), shape))


def require_identity(exchange: Exchange) -> None:
    """Refuse compressed bodies: what they unpack to has no bound."""
    if exchange.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed request bodies are not accepted.")


def parse(content: bytes, values: int = _VALUES) -> Any:
    """JSON as Python values; NaN, infinities, duplicate keys, lone surrogates and NUL are refused."""
    if len(content) > values and any(islice(_TOKEN.finditer(content), values, None)):
        raise InvalidRequest("The JSON body of your request holds too many values.")
    try:
        text = content.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        if b"\\ud" in content.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "We could not parse the JSON body of your request. (HINT: it must be strict JSON in UTF-8: "
            "no NaN, no duplicate keys, no lone surrogates, not nested too deeply.)"
        ) from None
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidRequest("The body holds the character U+0000, which is not accepted.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("out of range")
    return number
