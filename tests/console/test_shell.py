"""The frame of pages: headers, messages that are said once, and problems."""

from __future__ import annotations

from antiphon.console.shell import money, number
from console_service import House


async def test_every_page_is_strict_and_is_kept_by_nobody(house: House) -> None:
    async with house.visitor("owner") as visitor:
        async with visitor._session.get(visitor._root + "/keys") as answer:
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == (
                "no-store",
                "no-referrer",
            )
            assert "style=" not in await answer.text() and "onclick" not in await answer.text()


async def test_the_cookie_is_for_this_site_alone_and_by_https_where_that_is_the_address(house: House) -> None:
    member = await house.member("owner")
    async with house.visitor() as visitor:
        filled = {"email": member.email, "password": "correct horse battery"}
        form = visitor._session.post(
            visitor._root + "/sign-in", data=filled, headers={"sec-fetch-site": "same-origin"},
            allow_redirects=False,
        )  # fmt: skip
        async with form as answer:
            cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie


async def test_a_message_is_said_once(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/keys")
        said = await visitor.done("/keys/revoke", {"project": house.project.id, "key": "key_none"})
        assert "There is no such API key." in said
        assert "There is no such API key." not in await visitor.seen("/keys")


async def test_a_form_that_fails_leads_back_to_its_page(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen(page := f"/projects/{house.project.id}")
        assert (await visitor.post(f"{page}/rename", {"name": ""}))[0] == 303
        assert visitor.location == page and "must be 1 to 100 characters" in await visitor.seen(page)
        assert (await visitor.post("/projects/create", {"name": ""}))[0] == 303
        assert visitor.location == "/projects"


def test_figures_are_written_for_people() -> None:
    assert (money(1_500_000), money(-2_000_000_000), money(0)) == ("$0.0015", "-$2", "$0")
    assert number(1234567) == "1,234,567"
