"""The OpenAPI document, made from the table of routes and the structs of `wire`: what is served, no more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon import __version__
from antiphon.api.query import mappings
from antiphon.api.routes import Route
from antiphon.wire.models import ErrorEnvelope

_REF = "#/components/schemas/{name}"


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 for every listed route."""
    listed = [route for route in routes if route.listed]
    shapes = [ErrorEnvelope]
    for route in listed:
        shapes += [s for s in (route.body, route.form, *(a.shape for a in route.answers)) if s is not None]
    _, components = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        path = re.sub(r":path}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Antiphon",
            "version": __version__,
            "description": "Chat completions, embeddings and speech-to-text behind one key, on machines you "
            "control.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, path: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for answer in route.answers:
        schema = _ref(answer.shape) if answer.shape is not None else {"type": "string"}
        known = content.setdefault(answer.media_type, {"schema": schema})
        if known["schema"] != schema:
            known["schema"] = {"anyOf": [*known["schema"].get("anyOf", [known["schema"]]), schema]}
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "responses": {
            "200": {"description": "The answer", "content": content},
            "default": {
                "description": "An error",
                "content": {"application/json": {"schema": _ref(ErrorEnvelope)}},
            },
        },
    }
    if parameters := [*_in_path(path), *_in_query(route)]:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    if route.form is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": _form(route)}},
        }
    if route.public:
        operation["security"] = []
    return operation


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _in_query(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    _, components = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    keyed = mappings(route.query)
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": kind}
        | ({"style": "deepObject", "explode": True} if name in keyed else {})
        for name, kind in schema["properties"].items()
    ]


def _ref(shape: Any) -> dict[str, str]:
    return {"$ref": _REF.format(name=shape.__name__)}


def _form(route: Route) -> dict[str, Any]:
    file = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
    }
    return {"allOf": [file, _ref(route.form)]}
