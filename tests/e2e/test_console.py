"""The console in a real browser: every page, as every role, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from benchmarks.processes import Server
from console_people import PASSWORD, command, signed_in
from playwright.sync_api import expect

from browser import DESK, PHONE, Browser, findings, visiting

PAGES = (
    "/", "/playground", "/speech", "/logs", "/usage", "/costs", "/limits", "/keys", "/projects", "/members",
    "/catalogue", "/dedicated", "/uptime", "/data", "/flags", "/audit", "/account", "/docs", "/status",
)  # fmt: skip


def test_an_owner_signs_in_makes_a_key_and_signs_out(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "owner") as visitor:
        page = visitor.page
        page.get_by_role("link", name="Keys", exact=True).first.click()
        page.get_by_label("Name").fill("from the console")
        page.get_by_role("button", name="Make key").click()
        secret = page.locator("#secret").text_content() or ""
        assert re.fullmatch(r"sk-\w{49}", secret)
        row = page.get_by_role("row").filter(has_text="from the console")
        page.once("dialog", lambda dialog: dialog.accept())
        row.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("status")).to_contain_text("refused from now on")
        expect(row).to_have_count(0)
        page.get_by_role("link", name="Account").click()
        email = page.locator("dd").nth(1).text_content() or ""
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{server.root}/")


def test_a_first_owner_opens_a_link_as_the_server_prints_one(browser: Browser, server: Server) -> None:
    assert re.search(rf"{server.root}/sign-in/link\?token=\S+", server.log.read_text())
    link = urlsplit(command(server, "people", "link"))  # the printed one counts for a quarter of an hour
    with visiting(browser, base_url=server.root) as visitor:
        page = visitor.page
        page.goto(f"{link.path}?{link.query}")
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Email").fill("ada@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set password").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        assert "ada@example.com" in command(server, "people", "list", "--csv")


@pytest.mark.parametrize("role", ["owner", "member", "reader"])
def test_every_page_opens_for_everybody_and_is_sound(browser: Browser, server: Server, role: str) -> None:
    with signed_in(browser, server, role, color_scheme="dark" if role == "member" else "light") as visitor:
        page = visitor.page
        for path in PAGES:
            page.set_viewport_size(DESK)
            answer = page.goto(path)
            assert answer is not None and answer.status == 200, path
            assert findings(page) == [], path
            page.set_viewport_size(PHONE)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
