"""`/docs` over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from antiphon.console.documentation import pages
from service import Service, serving


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path) as started:
        yield started


async def get(service: Service, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.session.get(f"http://127.0.0.1:{service.port}{path}", headers=named) as response:
        return response.status, response.headers, await response.read()


async def test_pages_are_open_to_everybody(service: Service) -> None:
    for path in (
        "/docs",
        "/docs/",
        "/docs/billing",
        "/docs/billing.md",
        "/docs/decisions/0001-engines-are-processes",
    ):
        status, headers, body = await get(service, path)
        assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert body.startswith(b"<!doctype html>")


async def test_the_reference_is_one_of_them(service: Service) -> None:
    _, _, home = await get(service, "/docs")
    status, _, reference = await get(service, "/docs/api")
    assert status == 200 and b'href="/docs/api"' in home and b'id="fields"' in reference
    _, _, document = await get(service, "/openapi.json")
    assert b'"/docs/{name}"' not in document


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("documentation.css", "text/css; charset=utf-8"),
        ("code.css", "text/css; charset=utf-8"),
        ("search.js", "text/javascript; charset=utf-8"),
        ("search-index.js", "text/javascript; charset=utf-8"),
        ("images/status.png", "image/png"),
        ("grafana.json", "application/json"),
    ],
)
async def test_other_files_say_what_they_are(service: Service, name: str, kind: str) -> None:
    status, headers, body = await get(service, f"/docs/{name}")
    assert status == 200 and headers["content-type"] == kind and body


async def test_routes_and_their_fields_are_found(service: Service) -> None:
    _, _, body = await get(service, "/docs/search-index.js")
    found = json.loads(body.decode().removeprefix("globalThis.documentationIndex = ").removesuffix(";\n"))
    number = found["pages"].index(["API reference", "Reference", "/docs/api"])
    texts = {title: text for page, _, title, text in found["sections"] if page == number}
    assert {"POST /v1/embeddings", "GET /v1/models", "Errors"} <= set(texts)
    assert "max_tokens integer" in texts["POST /v1/chat/completions"]
    assert "POST" not in texts["POST /v1/embeddings"], "what is in the title is not said again"
    _, _, reference = await get(service, "/docs/api")
    ids = {id for page, id, _, _ in found["sections"] if page == number}
    assert all(f'id="{id}"'.encode() in reference for id in ids if id)


async def test_who_has_a_page_is_not_sent_it_again(service: Service) -> None:
    _, headers, _ = await get(service, "/docs/billing")
    assert headers["cache-control"] == "no-cache"
    status, again, body = await get(service, "/docs/billing", If_None_Match=f'"x", {headers["etag"]}')
    assert status == 304 and body == b"" and again["etag"] == headers["etag"]
    assert (await get(service, "/docs/errors", If_None_Match=headers["etag"]))[0] == 200


@pytest.mark.parametrize("path", ["/docs/quickstart", "/docs/search-index.js", "/docs/api"])
async def test_examples_name_the_address_they_were_asked_under(service: Service, path: str) -> None:
    _, headers, body = await get(service, path)
    own = f"http://127.0.0.1:{service.port}/v1".encode()
    assert own in body and b"http://127.0.0.1:8000" not in body
    _, others, elsewhere = await get(service, path, Host="ai.example.com")
    assert elsewhere == body.replace(own.removesuffix(b"/v1"), b"http://ai.example.com")
    assert headers.get("etag", "a") != others.get("etag", "b")
    _, _, hostile = await get(service, path, Host="evil.example/<script>")
    assert b"http://127.0.0.1:8000/v1" in hostile and b"evil.example" not in hostile


@pytest.mark.parametrize("name", ["nothing", "images", "README", "missing", "images/%2fetc%2fpasswd"])
async def test_what_is_not_there_is_said_on_a_page(service: Service, name: str) -> None:
    status, headers, body = await get(service, f"/docs/{name}")
    assert status == 404 and headers["content-type"] == "text/html; charset=utf-8"
    assert b"There is no such page" in body and b"[build-system]" not in body


async def test_what_leads_upwards_is_no_page(service: Service) -> None:
    status, headers, body = await get(service, "/docs/images/..%2f..%2fpyproject.toml")
    assert status == 404 and headers["content-type"] == "application/json" and b"unknown_url" in body


async def test_many_first_visitors_have_it_made_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = pages._make
    monkeypatch.setattr(pages, "_make", lambda reference: made.append(1) or make(reference))
    answers = await asyncio.gather(*(get(service, "/docs") for _ in range(5)))
    assert {status for status, _, _ in answers} == {200} and len(made) == 1
