"""Signing in and out, links, one's account: over a real database, with the cookies of a browser."""

from __future__ import annotations

import pytest

from antiphon.console.pages.sign_in import own_path
from console_service import OWN, PASSWORD, House


async def test_who_is_not_signed_in_is_led_there_and_back(house: House) -> None:
    member = await house.member("owner")
    async with house.visitor() as visitor:
        assert (await visitor.get("/keys"))[0] == 303
        assert visitor.location == "/sign-in?next=/keys"
        assert 'value="/keys"' in await visitor.seen(visitor.location)
        status, _ = await visitor.post(
            "/sign-in", {"email": member.email.upper(), "password": PASSWORD, "next": "/keys"}
        )
        assert (status, visitor.location) == (303, "/keys")
        assert "Keys" in await visitor.seen("/keys")
        await visitor.done("/account/sign-out")
        assert (await visitor.get("/keys"))[0] == 303
    assert (await house.world.events(house.organization.id))[-2:] == ["login.succeeded", "logout.succeeded"]


async def test_a_wrong_password_and_an_unknown_address_are_told_in_the_same_words(house: House) -> None:
    member = await house.member("owner")
    async with house.visitor() as visitor:
        told = []
        for email, password in ((member.email, "not the password"), ("nobody@example.com", PASSWORD)):
            status, text = await visitor.post("/sign-in", {"email": email, "password": password})
            told.append((status, "do not belong together" in text))
            assert password not in text
        assert told == [(401, True)] * 2


async def test_a_first_owner_comes_by_a_link_which_works_once(house: House) -> None:
    token = await house.world.access.people.link(house.organization.id, None, by=None)
    filled = {"token": token, "email": "ada@example.com", "name": "Ada", "password": PASSWORD}
    async with house.visitor() as visitor:
        text = await visitor.seen("/sign-in")
        assert "Nobody has a password here yet" in text and "<code>antiphon people link</code>" in text
        assert "<form" not in text and "Forgotten?" not in text
        assert "You become the owner" in await visitor.seen(f"/sign-in/link?token={token}")
        status, text = await visitor.post("/sign-in/link", filled | {"password": "short"})
        assert status == 400 and "10 to 256 characters" in text and 'value="ada@example.com"' in text
        assert "short" not in text.replace("a short sentence", "")
        assert (await visitor.post("/sign-in/link", filled))[0] == 303
        assert "owner, and operator" in await visitor.seen("/account")
        assert "<form" in await visitor.seen("/sign-in")
        status, text = await visitor.get(f"/sign-in/link?token={token}")
        assert status == 401 and "This link was used or has expired</h1>" in text
        assert "<code>antiphon people link</code>" in text and 'href="/sign-in"' in text
        assert "`" not in text and "invalid_api_key" not in text and "Overview" not in text
        assert (await visitor.post("/sign-in/link", filled))[0] == 401


async def test_a_new_password_ends_every_other_session(house: House) -> None:
    member = await house.member("member")
    async with house.visitor() as one, house.visitor() as other:
        await one.sign_in(member.email)
        await other.sign_in(member.email)
        house.world.monotonic += 1
        text = await one.refused(
            "/account/password", {"old_password": "wrong", "password": "another password"}
        )
        assert "This is not your password." in text
        house.world.wall += 1
        await one.done("/account/password", {"old_password": PASSWORD, "password": "another password"})
        house.world.monotonic += 1
        await one.seen("/account")
        assert (await other.get("/account"))[0] == 303
        await other.sign_in(member.email, "another password")


async def test_no_other_site_can_sign_in_or_change_anything(house: House) -> None:
    member = await house.member("owner")
    foreign = {"sec-fetch-site": "cross-site"}
    async with house.visitor() as visitor:
        filled = {"email": member.email, "password": PASSWORD}
        assert (await visitor.post("/sign-in", filled, foreign))[0] == 403
        await visitor.sign_in(member.email)
        new = {"name": "bot", "project": house.project.id, "scopes": "chat"}
        assert (await visitor.post("/keys/create", new, foreign))[0] == 403
        assert (await visitor.post("/keys/create", new, {"origin": "https://elsewhere.example"}))[0] == 403
        assert (await visitor.post("/keys/create", new | {"csrf": "0" * 32}, OWN))[0] == 403
        status, answer = await visitor.call(
            "POST", "/v1/organization/projects", json={"name": "x"}, headers={"x-csrf-token": ""}
        )
        assert (status, answer["error"]["code"]) == (403, "csrf")
    assert (await house.world.access.keys.list(house.realm)).data == []


async def test_a_session_is_no_key_and_a_key_opens_no_page(house: House) -> None:
    member = await house.member("owner")
    secret = await house.world.signed_in(member.email)
    _, key = await house.world.key(house.realm)
    status, _, answer = await house.service.call(
        "GET", "/v1/models", headers={"authorization": f"Bearer {secret}"}
    )
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
    async with house.visitor() as visitor:
        assert (await visitor.get("/keys", authorization=f"Bearer {key}"))[0] == 303
        assert (await visitor.get("/keys", cookie=f"antiphon_session={key}"))[0] == 303
        assert (await visitor.get("/keys", cookie=f"antiphon_session={secret}"))[0] == 200


@pytest.mark.parametrize(
    ("said", "path"),
    [("/keys", "/keys"), ("//evil", "/"), ("/\\evil", "/"), ("https://evil", "/"), ("", "/"), ("/é", "/")],
)
def test_where_one_is_led_after_signing_in_is_here(said: str, path: str) -> None:
    assert own_path(said) == path
