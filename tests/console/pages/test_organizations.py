"""People of several organizations: they choose where to go, and change over, and get nowhere else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from console_service import OWN, House, Visitor, console_house
from oidc_provider import CLIENT, SECRET, OidcProvider, oidc_provider
from tenants import PASSWORD

KIM = "kim@example.com"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider() as running:
        yield running


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path, provider: OidcProvider) -> AsyncIterator[House]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    settings = {"oidc_issuer": provider.issuer, "oidc_client": CLIENT, "oidc_secret_file": str(secret)}
    async with console_house(tmp_path, migrated_sqlite, **settings) as opened:
        yield opened


async def several(house: House) -> dict[str, str]:
    """Kim's memberships, with one password: by organization."""
    mine = {"acme": (await house.member("owner", email=KIM)).id}
    house.world.wall += 1
    mine["<other>"] = await house.world.joined((await house.world.organization("<other>")).id, KIM)
    return mine


async def sign_in(visitor: Visitor, **fields: str) -> None:
    await visitor.seen("/sign-in")
    assert (await visitor.post("/sign-in", {"email": KIM, "password": PASSWORD, **fields}))[0] == 303


async def test_who_belongs_to_several_chooses_after_signing_in(house: House) -> None:
    mine = await several(house)
    other = (await house.world.access.people.list())[-1].organization_id
    before = [len(await house.world.events(one)) for one in (house.organization.id, other)]
    async with house.visitor() as visitor:
        await sign_in(visitor, next="/keys")
        text = await visitor.seen(visitor.location)
        assert "acme" in text and "&lt;other&gt;" in text and 'name="next" value="/keys"' in text
        assert (await visitor.get("/keys"))[0] == 303, "nothing is open before one has chosen"
        chosen = {"member": mine["<other>"], "next": "/keys"}
        assert (await visitor.post("/sign-in/organization", chosen))[0] == 303
        assert visitor.location == "/keys"
        assert "&lt;other&gt; · member" in await visitor.seen("/keys")
    assert (await house.world.events(other))[before[1] :] == ["login.succeeded"]
    assert (await house.world.events(house.organization.id))[before[0] :] == []


async def test_they_change_over_in_the_menu(house: House) -> None:
    mine = await several(house)
    async with house.visitor() as visitor:
        await sign_in(visitor)
        await visitor.post("/sign-in/organization", {"member": mine["acme"]})
        assert 'href="/account/organization">Switch organization' in await visitor.seen("/")
        text = await visitor.seen("/account/organization")
        assert re.search(f'value="{mine["acme"]}" class="quiet" disabled', text)
        assert "&lt;other&gt; · member" in await visitor.done(
            "/account/organization", {"member": mine["<other>"]}
        )
        assert "acme · owner" in await visitor.done("/account/organization", {"member": mine["acme"]})
    assert (await house.world.events(house.organization.id))[-3:] == [
        "login.succeeded", "logout.succeeded", "login.succeeded",
    ]  # fmt: skip


async def test_they_change_over_after_a_new_password_as_before(house: House) -> None:
    mine = await several(house)
    async with house.visitor() as visitor:
        await sign_in(visitor)
        await visitor.post("/sign-in/organization", {"member": mine["acme"]})
        await visitor.seen("/account")
        house.world.wall += 60
        text = await visitor.done(
            "/account/password", {"old_password": PASSWORD, "password": "another password"}
        )
        assert "acme · owner" in text and 'href="/account/organization">Switch organization' in text
        switch = "/account/organization"
        assert "&lt;other&gt; · member" in await visitor.done(switch, {"member": mine["<other>"]})
        assert "acme · owner" in await visitor.done(switch, {"member": mine["acme"]})


async def test_who_belongs_to_one_is_asked_nothing(house: House) -> None:
    async with house.visitor("owner") as visitor:
        assert "Switch organization</a>" not in await visitor.seen("/")
        assert "No other organization" in await visitor.seen("/account/organization")


async def test_a_password_opens_no_organization_that_it_is_not_of(house: House) -> None:
    """An owner may invite anybody's address, and set a password for it there."""
    mine = await several(house)
    evil = await house.world.organization("evil")
    lure = await house.world.access.members.add(evil.id, KIM, "Kim", "reader", by=None)
    people = house.world.access.people
    await people.redeem(await people.link(evil.id, lure.id, by=None), "known to evil")
    async with house.visitor() as visitor:
        await sign_in(visitor, password="known to evil")
        assert visitor.location == "/"
        text = await visitor.seen("/account/organization")
        assert "acme" not in text and "No other organization" in text
        assert (await visitor.post("/account/organization", {"member": mine["acme"]}))[0] == 303
        assert visitor.location == "/sign-in" and "evil · reader" in await visitor.seen("/")


async def test_an_address_that_was_verified_opens_all_of_its_organizations(house: House) -> None:
    await several(house)
    async with house.visitor() as visitor:
        await visitor.get("/sign-in/oidc?next=/keys")
        async with visitor._session.get(visitor.location, allow_redirects=False) as answer:
            back = urlsplit(answer.headers["location"])
        assert (await visitor.get(f"{back.path}?{back.query}"))[0] == 303
        assert visitor.location == "/sign-in/organization?next=/keys"
        text = await visitor.seen(visitor.location)
        assert "acme" in text and "&lt;other&gt;" in text


async def test_what_is_no_proof_enters_nothing(house: House) -> None:
    mine = await several(house)
    async with house.visitor() as visitor, house.visitor() as another:
        for asked in (
            visitor.get("/sign-in/organization"),
            visitor.post("/sign-in/organization", {"member": mine["acme"]}),
        ):
            assert (await asked)[0] == 303 and visitor.location == "/sign-in"
        await sign_in(visitor)
        foreign = {"sec-fetch-site": "cross-site"}
        assert (await visitor.post("/sign-in/organization", {"member": mine["acme"]}, foreign))[0] == 403
        await visitor.post("/sign-in/organization", {"member": mine["acme"]})
        await visitor.seen("/account/organization")
        chosen = {"member": mine["<other>"]}
        assert (await visitor.post("/account/organization", chosen | {"csrf": "0" * 32}, OWN))[0] == 403
        kept = next(one.value for one in visitor._session.cookie_jar if one.key == "antiphon_session")
        secret, _, proof = kept.partition(".")
        assert secret and proof
        status, _ = await another.get("/sign-in/organization", cookie=f"antiphon_session=.{proof}")
        assert status == 303 and another.location == "/sign-in", "it is worth nothing without its session"
        await visitor.done("/account/sign-out")
        house.world.monotonic += 1
        assert (await another.get("/account/organization", cookie=f"antiphon_session={kept}"))[0] == 303
