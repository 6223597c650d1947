"""The API reference as a page: the OpenAPI document, readable, served without anything from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import msgspec

from antiphon.api.exchange import Exchange
from antiphon.api.own_address import EXAMPLE, in_page, own_address
from antiphon.wire.fields import CHAT, COMPLETION, EMBEDDING, MESSAGE, SPEECH

_TREATMENTS = {
    "Chat request": CHAT,
    "Chat message": MESSAGE,
    "Completion request": COMPLETION,
    "Embedding request": EMBEDDING,
    "Speech form": SPEECH,
}
CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Contents(msgspec.Struct, frozen=True):
    """What the page shows: HTML, and the ids and titles of its sections."""

    html: str
    headings: Sequence[tuple[str, str]]


class ReferenceApi:
    """`/openapi.json`, `/docs/api`, and the style sheet of pages that stand alone."""

    def __init__(self, page: Callable[[], Awaitable[bytes]], public_url: str = "") -> None:
        """`page` gives the page of the documentation, `public_url` is as the setting has it."""
        self._page = page
        self._public = public_url
        self._document = b""
        self._style = (files("antiphon.api") / "templates" / "reference.css").read_bytes()

    def describe(self, document: Mapping[str, Any]) -> None:
        """Take the document of what is served. Called once, by the composition root."""
        self._document = msgspec.json.encode(document)

    async def openapi(self, exchange: Exchange) -> None:
        await exchange.answer(self._document)

    async def reference(self, exchange: Exchange) -> None:
        headers = {"content-security-policy": CSP}
        page = in_page(await self._page(), own_address(exchange, self._public))
        await exchange.answer(page, "text/html; charset=utf-8", headers=headers)

    async def style(self, exchange: Exchange) -> None:
        await exchange.answer(self._style, "text/css; charset=utf-8")


def contents(document: Mapping[str, Any]) -> Contents:
    """What the page shows of the OpenAPI document of what is served."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("antiphon.api"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    operations = _operations(document)
    shown = {"document": document, "operations": operations, "treatments": _TREATMENTS, "address": EXAMPLE}
    headings = [(one["id"], f"{one['method']} {one['path']}") for one in operations]
    headings += [("fields", "What becomes of every field"), ("errors", "Errors")]
    return Contents(environment.get_template("reference.html").render(shown), headings)


def _operations(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each operation with what the page shows of it: the fields of its body, and its answers."""
    schemas = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
            media = next(iter(content), "")
            schema: dict[str, Any] = content[media]["schema"] if media else {}
            found.append(
                {
                    "id": operation["operationId"],
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "public": operation.get("security") == [],
                    "query": [
                        (query["name"], _kind(query["schema"]), query["required"])
                        for query in operation.get("parameters", ())
                        if query["in"] == "query"
                    ],
                    "media": media,
                    "fields": [
                        row for part in schema.get("allOf", [schema]) for row in _fields(part, schemas)
                    ],
                    "answers": [
                        (kind, _kind(answer["schema"]))
                        for kind, answer in operation["responses"]["200"]["content"].items()
                    ],
                }
            )
    return found


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Name, type and whether it is required, of every property of an object."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return [(name, _kind(kind), name in required) for name, kind in schema.get("properties", {}).items()]


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words: `integer 1–8 or null`, `array of RequestMessage`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(option) for option in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_kind(schema['items'])}" if "items" in schema else "array"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**31 - 1:
        return f"{kind} {low}–{high}"
    return str(kind)
