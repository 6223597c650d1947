"""The console in a real browser: every page, as every role, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import json
import os
import re
import subprocess
from urllib.parse import urlsplit

import pytest
from benchmarks.processes import Server
from console_people import PASSWORD, command, signed_in
from playwright.sync_api import expect

from browser import Browser, require_sound, visiting

PAGES = (
    "/", "/playground", "/speech", "/logs", "/usage", "/costs", "/limits", "/keys", "/projects", "/members",
    "/catalogue", "/dedicated", "/uptime", "/data", "/flags", "/audit", "/account", "/account/organization",
    "/docs", "/status",
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
        require_sound(page)
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Email").fill("ada@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set password").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        assert "ada@example.com" in command(server, "people", "list", "--csv")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_is_not_signed_in_is_asked_to(browser: Browser, server: Server, scheme: str) -> None:
    email = f"new-{scheme}@example.com"
    command(server, "orgs", "add-member", email, "--name", "New", "--role", "member")
    with visiting(browser, base_url=server.root, color_scheme=scheme) as visitor:
        page = visitor.page
        page.goto("/usage")
        page.wait_for_url("**/sign-in?next=/usage")
        require_sound(page)
        made = urlsplit(command(server, "people", "link", email))
        page.goto(link := f"{made.path}?{made.query}")
        expect(page.get_by_text("Welcome, New")).to_be_visible()
        require_sound(page)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set password").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill("a wrong one")
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("alert")).to_be_visible()
        require_sound(page)
        page.goto(link)
        expect(page.get_by_text("antiphon people link you@example.com")).to_be_visible()
        require_sound(page)
        visitor.problems.clear()  # the browser itself notes that both were refused


def test_the_lines_that_a_newcomer_is_shown_answer(browser: Browser, server: Server) -> None:
    [printed] = re.findall(r"^curl .+$", server.log.read_text(), re.MULTILINE)
    assert server.key in printed
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        shown = page.locator("#curl").inner_text()
        page.goto("/keys")
        page.get_by_label("Name").fill("first")
        page.get_by_role("button", name="Make key").click()
        key = page.locator("#secret").inner_text()
    for line in (printed, shown):
        shell = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(
            shell, env={**os.environ, "OPENAI_API_KEY": key}, capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["choices"][0]["message"]["content"].strip()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("role", ["owner", "member", "reader"])
def test_every_page_opens_for_everybody_and_is_sound(browser: Browser, server: Server, role: str) -> None:
    with signed_in(browser, server, role, color_scheme="dark" if role == "member" else "light") as visitor:
        page = visitor.page
        for path in PAGES:
            answer = page.goto(path)
            assert answer is not None and answer.status == 200, path
            require_sound(page)
