"""Every number that a client may send has a largest, and every choice of how many is small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin_service import administrating

BOUNDS = {"maximum", "exclusiveMaximum", "enum", "const"}
_METHODS = ("get", "post", "put", "patch", "delete")


def numbers(
    node: Any, schemas: dict[str, Any], path: str, seen: frozenset[str] = frozenset()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a number in a schema, with where it stands."""
    if isinstance(node, list):
        for number, part in enumerate(node):
            yield from numbers(part, schemas, f"{path}[{number}]", seen)
    if not isinstance(node, dict):
        return
    if (reference := node.get("$ref")) and reference not in seen:
        name = reference.rpartition("/")[2]
        yield from numbers(schemas[name], schemas, f"{path}/{name}", seen | {reference})
    kinds = node.get("type", [])
    if {"integer", "number"} & set([kinds] if isinstance(kinds, str) else kinds):
        yield path, node
    for name, part in node.items():
        yield from numbers(part, schemas, f"{path}/{name}", seen)


@pytest.mark.requirement("R9")
async def test_every_number_has_a_largest(tmp_path: Path, migrated_sqlite: Path) -> None:
    async with administrating(tmp_path, migrated_sqlite) as house:
        _, _, document = await house.service.call("GET", "/openapi.json")
    schemas = document["components"]["schemas"]
    found = [
        one
        for path, methods in document["paths"].items()
        for method in _METHODS
        if method in methods
        for part in ("requestBody", "parameters")
        for one in numbers(methods[method].get(part, []), schemas, f"{method} {path}")
    ]
    assert len(found) > 30
    assert {path for path, schema in found if not BOUNDS & schema.keys()} == set()
    choices = [schema for path, schema in found if path.partition("/anyOf")[0].endswith("/n")]
    assert choices and all(schema["maximum"] <= 8 for schema in choices)
