"""Who is let in where: the headers, the kinds of keys, and routes that nobody opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.access.api_key import Realm
from antiphon.access.pepper import check_pepper
from antiphon.api.auth import authenticate, authorize
from antiphon.errors import Forbidden, NotFound, Unauthenticated
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from service import Service, serving
from tenants import PEPPER, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/antiphon.db") as database:
        await upgrade(database)
        await check_pepper(database, PEPPER)
        yield World(database)


def request(secret: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(headers={"authorization": f"Bearer {secret}", **named})


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "sk-a", "Token sk-a"])
async def test_without_a_bearer_there_is_no_caller(world: World, header: str) -> None:
    with pytest.raises(Unauthenticated, match="antiphon keys create"):
        await authenticate(world.access.authenticator, request("", authorization=header))


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Bearer  {} "])
async def test_the_scheme_is_read_as_http_says(world: World, header: str) -> None:
    key, secret = await world.key(await world.realm())
    caller = await authenticate(world.access.authenticator, request("", authorization=header.format(secret)))
    assert caller.key_id == key.id


async def test_a_project_key_may_name_its_own_organization_and_project_and_no_other(world: World) -> None:
    realm, other = await world.realm("acme", "shop"), await world.realm("other", "shed")
    assert realm.organization_id and realm.project_id and other.organization_id and other.project_id
    _, secret = await world.key(realm)
    enter = world.access.authenticator
    for own in (realm.organization_id, "acme", ""):
        await authenticate(enter, request(secret, openai_organization=own))
    for own in (realm.project_id, "shop", ""):
        await authenticate(enter, request(secret, openai_project=own, openai_organization="acme"))
    for wrong in (other.organization_id, "other", "org-missing", "shop", "ACME", "\0"):
        with pytest.raises(Unauthenticated) as caught:
            await authenticate(enter, request(secret, openai_organization=wrong))
        assert (caught.value.status, caught.value.code) == (401, "mismatched_organization")
    for wrong in (other.project_id, "shed", "proj_missing", "acme"):
        with pytest.raises(Unauthenticated) as caught:
            await authenticate(enter, request(secret, openai_project=wrong))
        assert (caught.value.status, caught.value.code) == (401, "mismatched_project")


async def test_an_admin_key_may_name_its_own_organization_and_any_project(world: World) -> None:
    acme = await world.organization("acme")
    _, secret = await world.key(Realm(acme.id))
    enter = world.access.authenticator
    await authenticate(enter, request(secret, openai_organization="acme", openai_project="anything"))
    with pytest.raises(Unauthenticated):
        await authenticate(enter, request(secret, openai_organization="other"))


async def test_an_operator_works_on_the_organization_that_is_named_or_the_default_one(world: World) -> None:
    acme, default = await world.organization("acme"), await world.access.organizations.ensure_default()
    _, secret = await world.key(Realm())
    enter = world.access.authenticator

    async def seen(needs: Any, **headers: str) -> str:
        exchange = request(secret, **headers)
        caller = await authenticate(enter, exchange)
        return (await authorize(enter, exchange, caller, needs)).organization_id

    assert await seen("org.write", openai_organization="acme") == acme.id
    assert await seen("org.read", openai_organization=acme.id) == acme.id
    assert await seen("org.read") == default.id
    assert await seen("operator", openai_organization="acme") == ""
    with pytest.raises(NotFound, match="no such organization"):
        await seen("org.read", openai_organization="missing")
    with pytest.raises(Forbidden):
        await seen("chat", openai_organization="acme")


async def test_the_permission_comes_before_the_organization(world: World) -> None:
    acme = await world.organization("acme")
    caller = await world.caller(Realm(acme.id), role="reader")
    enter = world.access.authenticator
    assert await authorize(enter, request(""), caller, "org.read") == caller
    for needs in ("org.write", "project.write", "operator", "chat", None):
        with pytest.raises(Forbidden):
            await authorize(enter, request("", openai_organization="missing"), caller, needs)


# --- on a socket -------------------------------------------------------------------------------------------


async def called(service: Service, secret: str, method: str, path: str, **options: Any) -> Any:
    headers = {"authorization": f"Bearer {secret}"}
    status, _, body = await service.call(method, path, headers=headers, **options)
    return status, body["error"]["code"] if status != 200 and isinstance(body, dict) else None


async def test_a_key_of_the_wrong_kind_or_scope_gets_403(world: World, tmp_path: Path) -> None:
    realm = await world.realm()
    await world.access.organizations.ensure_default()  # where an operator acts who names none
    secrets = {
        "all": (await world.key(realm))[1],
        "audio": (await world.key(realm, scopes={"audio"}))[1],
        "admin": (await world.key(Realm(realm.organization_id)))[1],
        "operator": (await world.key(Realm()))[1],
    }
    refused = (403, "insufficient_permissions")
    chat = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hi"}]}
    async with serving(tmp_path, authenticator=world.access.authenticator, public_metrics=False) as service:
        for who, wanted in (
            ("all", (200, None)),
            ("audio", refused),
            ("admin", refused),
            ("operator", refused),
        ):
            answer = await called(service, secrets[who], "POST", "/v1/chat/completions", json=chat)
            assert answer == wanted, who
        for who, wanted in (("all", (200, None)), ("audio", refused), ("admin", (200, None))):
            assert await called(service, secrets[who], "GET", "/v1/models") == wanted, who
        for who in ("all", "audio", "admin"):
            assert await called(service, secrets[who], "GET", "/metrics") == refused, who
        assert (await called(service, secrets["operator"], "GET", "/metrics"))[0] == 200
        assert (await called(service, secrets["operator"], "GET", "/v1/models"))[0] == 200


async def test_a_refused_body_is_not_read(world: World, tmp_path: Path) -> None:
    _, secret = await world.key(await world.realm(), scopes={"models"})
    async with serving(tmp_path, authenticator=world.access.authenticator) as service:
        answer = await called(service, secret, "POST", "/v1/chat/completions", data=b"no json")
        assert answer == (403, "insufficient_permissions")


async def test_a_path_with_what_cannot_be_printed_leads_nowhere(world: World, tmp_path: Path) -> None:
    _, secret = await world.key(await world.realm())
    async with serving(tmp_path, authenticator=world.access.authenticator) as service:
        assert await called(service, secret, "GET", "/v1/models/a%00b") == (404, "unknown_url")


@pytest.mark.requirement("R1")
async def test_every_row_that_is_not_open_names_what_it_needs(tmp_path: Path) -> None:
    async with serving(tmp_path, public_metrics=False) as service:
        rows = [route for _, route in service.edge._router._rows]
    assert rows and [route.path for route in rows if not route.public and route.needs is None] == []
