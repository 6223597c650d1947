"""Signing in by a provider of OpenID Connect, which runs here: there, back, and what must not work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from console_service import House, Visitor, console_house
from oidc_provider import CLIENT, SECRET, OidcProvider, oidc_provider


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with oidc_provider() as running:
        yield running


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path, provider: OidcProvider) -> AsyncIterator[House]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    settings = {"oidc_issuer": provider.issuer, "oidc_client": CLIENT, "oidc_secret_file": str(secret)}
    async with console_house(tmp_path, migrated_sqlite, oidc_name="Example", **settings) as opened:
        yield opened


async def there(visitor: Visitor) -> str:
    """Go to the provider, which leads back at once: to which address of the console."""
    status, _ = await visitor.get("/sign-in/oidc?next=/keys")
    assert status == 303
    async with visitor._session.get(visitor.location, allow_redirects=False) as answer:
        back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


async def refused(visitor: Visitor, back: str) -> str:
    """What the sign-in page says afterwards."""
    assert (await visitor.get(back))[0] == 303 and visitor.location == "/sign-in"
    return await visitor.seen("/sign-in")


async def test_where_nobody_has_a_password_the_provider_is_offered_and_no_form(house: House) -> None:
    async with house.visitor() as visitor:
        text = await visitor.seen("/sign-in")
    assert "Sign in with Example" in text and "<code>antiphon people link</code>" in text
    assert "<form" not in text


async def test_a_member_comes_in_by_a_verified_address(house: House, provider: OidcProvider) -> None:
    await house.member("member", email="kim@example.com")
    async with house.visitor() as visitor:
        assert "Sign in with Example" in await visitor.seen("/sign-in")
        back = await there(visitor)
        assert (await visitor.get(back))[0] == 303 and visitor.location == "/keys"
        assert "Keys" in await visitor.seen("/keys")
        assert "did not confirm" in await refused(visitor, back), "a code works once"


async def test_who_is_no_member_stays_outside(house: House, provider: OidcProvider) -> None:
    provider.user["email"] = "eve@example.com"
    async with house.visitor() as visitor:
        assert "Ask an owner" in await refused(visitor, await there(visitor))
        assert (await visitor.get("/keys"))[0] == 303


@pytest.mark.parametrize(
    "spoil",
    [
        {"email_verified": False},
        {"nonce": "another"},
        {"aud": "another"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
    ],
    ids=str,
)
async def test_a_token_that_is_not_as_it_must_be_opens_nothing(
    house: House, provider: OidcProvider, spoil: dict[str, object]
) -> None:
    await house.member("member", email="kim@example.com")
    provider.spoil = spoil
    async with house.visitor() as visitor:
        text = await refused(visitor, await there(visitor))
        assert "did not confirm" in text or "did not say that your address is verified" in text
        assert (await visitor.get("/keys"))[0] == 303


async def test_a_token_of_another_key_opens_nothing(house: House, provider: OidcProvider) -> None:
    await house.member("member", email="kim@example.com")
    provider.sign_with_another_key()
    async with house.visitor() as visitor:
        assert "did not confirm" in await refused(visitor, await there(visitor))


async def test_nobody_is_signed_in_by_a_link_of_somebody_else(house: House, provider: OidcProvider) -> None:
    await house.member("member", email="kim@example.com")
    async with house.visitor() as attacker, house.visitor() as victim:
        back = await there(attacker)
        assert "not begun here" in await refused(victim, back)
        await victim.get("/sign-in/oidc")
        assert "not begun here" in await refused(victim, back)


async def test_a_provider_that_is_away_is_said_on_the_sign_in_page(
    house: House, provider: OidcProvider
) -> None:
    provider.issuer = "https://another.example"  # it describes itself as another
    async with house.visitor() as visitor:
        assert (await visitor.get("/sign-in/oidc"))[0] == 303
        assert "another issuer" in await visitor.seen("/sign-in")
