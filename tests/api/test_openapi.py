"""The OpenAPI document and its page: true to what is served, and readable."""

from __future__ import annotations

import re
from pathlib import Path

from service import serving


async def test_the_document_names_what_is_served_and_resolves(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        _, _, document = await service.call("GET", "/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/chat/completions",
        "/v1/engines/{model}/chat/completions",
        "/v1/chat/completions/render",
        "/v1/completions",
        "/v1/engines/{model}/completions",
        "/v1/embeddings",
        "/v1/engines/{model}/embeddings",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/models",
        "/v1/models/{model}",
        "/models",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs/api",
    }
    schemas = document["components"]["schemas"]
    for name in re.findall(r"'#/components/schemas/(\w+)'", str(document)):
        assert name in schemas
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    assert len({o["operationId"] for o in operations}) == len(operations)
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert set(chat["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream; charset=utf-8",
    }
    temperature = schemas["ChatRequest"]["properties"]["temperature"]
    assert temperature["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 2}
    prompt = schemas["CompletionRequest"]["properties"]["prompt"]["anyOf"]
    assert {kind["type"] for kind in prompt} == {"string", "array", "null"}
    vector = schemas["Embedding"]["properties"]["embedding"]["anyOf"]
    assert vector == [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert "security" not in chat


async def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        _, headers, page = await service.call("GET", "/docs/api")
        _, _, document = await service.call("GET", "/openapi.json")
        status, style_headers, _ = await service.call("GET", "/docs/api.css")
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert status == 200 and style_headers["content-type"].startswith("text/css")
    assert re.findall(r'(?:src|href)="((?!#|/)[^"]*)"', page) == []
    assert "style=" not in page and re.findall(r'<script(?! src="/docs/)', page) == []
    for path in document["paths"]:
        assert path in page
    for field in ("logit_bias", "timestamp_granularities", "reasoning_effort", "best_of", "only its default"):
        assert field in page
