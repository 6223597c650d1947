"""Query strings, read strictly: known names only, each said once unless it is a list."""

from __future__ import annotations

from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl

import msgspec

from antiphon.api.exchange import Exchange
from antiphon.api.validation import convert
from antiphon.errors import InvalidRequest

T = TypeVar("T", bound=msgspec.Struct)

PAIRS = 200
"""Names and values that a query may have."""


def read(exchange: Exchange, shape: type[T]) -> T:
    """The query as `shape`. Raises `InvalidRequest`, which names the parameter.

    A list may be sent as `name[]=`, as the official clients do, or as `name=`, each as often as there are
    values; a mapping is sent as `name[key]=`.
    """
    found = _parse(exchange.query, lists(shape), mappings(shape))
    return convert(found, shape, strict=False)


def lists(shape: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that may have several values."""
    return _of_kind(shape, list)


def mappings(shape: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that have a value for each of some keys."""
    return _of_kind(shape, dict)


def _of_kind(shape: type[msgspec.Struct], kind: type) -> frozenset[str]:
    fields = msgspec.structs.fields(shape)
    return frozenset(field.encode_name for field in fields if get_origin(_plain(field.type)) is kind)


def _plain(kind: Any) -> Any:
    return getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind


def _parse(query: bytes, several: frozenset[str], keyed: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for sent, value in _pairs(query):
        name = sent.removesuffix("[]")
        shown = sent[:200]
        if not value.isprintable():
            raise InvalidRequest(f"'{shown}' holds what cannot be printed.", param=shown)
        whole, opened, key = sent.removesuffix("]").partition("[")
        if whole in keyed:
            if not opened or not sent.endswith("]"):
                raise InvalidRequest(f"'{whole}' is sent as '{whole}[key]=value'.", param=whole)
            if key in found.setdefault(whole, {}):
                raise InvalidRequest(f"'{shown}' was sent more than once.", param=shown)
            found[whole][key] = value
        elif name in several:
            found.setdefault(name, []).append(value)
        elif sent in found:
            raise InvalidRequest(f"'{shown}' was sent more than once.", param=shown)
        else:
            found[sent] = value
    return found


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if not query:
        return []
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=PAIRS,
        )
    except ValueError:
        raise InvalidRequest(
            f"We could not parse the query of your request. (HINT: at most {PAIRS} pairs of name=value, "
            "percent-encoded UTF-8.)"
        ) from None
