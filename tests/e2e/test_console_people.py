"""People, trust and models in a real browser: what is done there, and that every page is sound."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from benchmarks.processes import Server
from console_people import PASSWORD, signed_in
from playwright.sync_api import Page, expect

from browser import DESK, PHONE, Browser, findings, visiting

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


def test_an_operator_proves_the_log_and_takes_the_content_along(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    with signed_in(browser, server, "owner", operator=True) as visitor:
        page = visitor.page
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
        assert all(json.loads(line)["url"].startswith("/v1/") for line in lines)
        page.get_by_role("button", name="Delete it from the server").click()
        expect(page.get_by_role("button", name="Make an export")).to_be_visible()


@pytest.mark.parametrize("role", ["owner", "member", "reader"])
def test_every_page_opens_for_everybody_and_is_sound(browser: Browser, server: Server, role: str) -> None:
    dark = "dark" if role == "member" else "light"
    with signed_in(browser, server, role, operator=role == "owner", color_scheme=dark) as visitor:
        page = visitor.page
        for path in PAGES:
            page.set_viewport_size(DESK)
            answer = page.goto(path)
            assert answer is not None and answer.status == 200, path
            assert findings(page) == [], path
            page.set_viewport_size(PHONE)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
