"""The frame of pages: headers, messages that are said once, and problems."""

from __future__ import annotations

from console_service import OWN, House


async def test_every_page_is_strict_and_is_kept_by_nobody(house: House) -> None:
    async with house.visitor("owner") as visitor:
        async with visitor._session.get(visitor._root + "/keys") as answer:
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == (
                "no-store",
                "same-origin",
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
        await visitor.post("/projects/create", {"name": "lab"})
        assert "is there. Now it needs a key." in await visitor.seen(visitor.location)
        assert "is there. Now it needs a key." not in await visitor.seen(visitor.location)


async def test_a_form_that_fails_shows_the_page_it_was_sent_from_with_what_was_typed(house: House) -> None:
    long = "x" * 101
    async with house.visitor("owner") as visitor:
        await visitor.seen(page := f"/projects/{house.project.id}")
        text = await visitor.refused(f"{page}/rename", {"name": long})
        assert "must be 1 to 100 characters" in text and f'value="{long}"' in text
        assert f'<html lang="en" data-here="{page}">' in text and 'aria-invalid="true"' in text
        assert "must be 1 to 100 characters" not in await visitor.seen(page)
        await visitor.seen("/projects?archived=1")
        text = await visitor.refused("/projects/create", {"name": long})
        assert 'data-here="/projects?archived=1"' in text and "All projects, archived ones too" in text


async def test_it_does_so_where_the_browser_does_not_say_which_page_that_was(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen(page := f"/projects/{house.project.id}")
        for referer in ("", "https://elsewhere.example/projects", visitor._root + "/no/page"):
            visitor.page = page
            status, text = await visitor.post(f"{page}/rename", {"name": ""}, OWN | {"referer": referer})
            assert status == 400 and f'data-here="{page}"' in text, referer


async def test_what_nobody_may_see_is_not_shown_for_a_form(house: House) -> None:
    async with house.visitor("owner") as visitor:
        await visitor.seen("/projects")
        visitor.page = "/instance"
        text = await visitor.refused("/projects/create", {"name": ""})
        assert 'data-here="/projects"' in text and "Make an organization" not in text
        visitor.page = "/projects/proj_none"
        status, text = await visitor.post("/projects/create", {"name": ""})
        assert (status, visitor.location) == (303, "/projects")
        assert "must be 1 to 100 characters" in await visitor.seen("/projects")
