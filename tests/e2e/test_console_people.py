"""People, trust and models in a real browser: what is done there, and that every page is sound."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from benchmarks.processes import Server
from console_people import PASSWORD, asked, open_content, signed_in
from playwright.sync_api import Page, expect

from browser import Browser, require_sound, visiting

PAGES = ("/projects", "/members", "/audit", "/flags", "/data", "/catalogue")


def _accept(page: Page) -> None:
    page.once("dialog", lambda dialog: dialog.accept())


def test_an_owner_makes_a_project_and_lets_somebody_in(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "owner") as visitor:
        page = visitor.page
        page.goto("/projects")
        page.get_by_label("Name").fill("from the console")
        page.get_by_role("button", name="Make project").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("from the console")
        page.get_by_label("Name", exact=True).fill("cron")
        page.get_by_role("button", name="Make account and key").click()
        assert (page.locator("#secret").text_content() or "").startswith("sk-")
        _accept(page)
        page.get_by_role("button", name="Archive").click()
        expect(page.get_by_role("status")).to_contain_text("its keys are refused")
        page.goto("/members")
        page.get_by_label("Name", exact=True).fill("Kim")
        page.get_by_label("Email").fill("kim@example.com")
        page.get_by_role("button", name="Add, and make link").click()
        link = page.locator("#secret").text_content() or ""
    with visiting(browser, base_url=server.root) as visitor:
        page = visitor.page
        page.goto(link)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set password").click()
        page.wait_for_url(f"{server.root}/")
        page.goto("/audit?type=user.added")
        expect(page.locator(".events")).to_contain_text("user.added")


@pytest.mark.timeout(400)
def test_an_operator_proves_the_log_and_takes_the_content_along(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    hello = asked(server, "Hello")
    with signed_in(browser, server, "owner", operator=True) as visitor:
        page = visitor.page
        open_content(page, hello)  # it is kept from now on
        page.goto("/audit")
        page.get_by_role("button", name="Prove it").click()
        expect(page.get_by_text("The audit log is whole")).to_be_visible(timeout=60_000)
        page.goto("/data")
        page.get_by_role("button", name="Make an export").click()
        download = page.get_by_role("link", name="Download")
        expect(download).to_be_visible(timeout=60_000)
        with page.expect_download() as waited:
            download.click()
        waited.value.save_as(tmp_path / "export.zip")
        lines = ZipFile(tmp_path / "export.zip").read("content.jsonl").splitlines()
        [mine] = [one for line in lines if (one := json.loads(line))["custom_id"] == hello]
        assert mine["url"] == "/v1/chat/completions" and mine["body"]["messages"][0]["content"] == "Hello"
        page.get_by_role("button", name="Delete it from the server").click()
        expect(page.get_by_role("button", name="Make an export")).to_be_visible()


@pytest.mark.timeout(400)
def test_an_operator_makes_an_organization_and_its_owner_switches_to_it(
    browser: Browser, server: Server
) -> None:
    with signed_in(browser, server, "owner", operator=True) as visitor:
        page = visitor.page
        page.goto("/account")
        email = page.locator("dd").nth(1).inner_text()
        page.get_by_role("link", name="Installation").click()
        page.get_by_label("Name", exact=True).fill("elsewhere")
        page.get_by_label("Pays in advance").check()
        page.get_by_role("button", name="Make organization").click()
        credited = page.locator("form[action='/instance/credit']")
        credited.get_by_label("Organization").select_option("elsewhere")
        credited.get_by_label("US dollars").fill("25")
        credited.get_by_role("button").click()
        expect(page.get_by_role("row").filter(has_text="elsewhere")).to_contain_text("$25")
        added = page.locator("form[action='/instance/owner']")
        added.get_by_label("Organization").select_option("elsewhere")
        added.get_by_label("Email").fill(email)
        added.get_by_role("button").click()
        link = page.locator("#link").inner_text()
        require_sound(page)
    with visiting(browser, base_url=server.root, color_scheme="dark") as visitor:
        page = visitor.page
        page.goto(link)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set password").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Where to?")
        require_sound(page)
        page.get_by_role("button", name="elsewhere").click()
        page.get_by_role("link", name="Switch organization").click()
        expect(page.get_by_role("button", name="elsewhere")).to_be_disabled()
        require_sound(page)
        page.get_by_role("button", name="default").click()
        expect(page.locator(".who")).to_contain_text("default · owner")


@pytest.mark.parametrize("role", ["owner", "member", "reader"])
def test_every_page_opens_for_everybody_and_is_sound(browser: Browser, server: Server, role: str) -> None:
    dark = "dark" if role == "member" else "light"
    with signed_in(browser, server, role, operator=role == "owner", color_scheme=dark) as visitor:
        page = visitor.page
        for path in (*PAGES, "/instance") if role == "owner" else PAGES:
            answer = page.goto(path)
            assert answer is not None and answer.status == 200, path
            require_sound(page)
