"""What is noted of requests, in a real browser: times, content and for how long it is kept, flags."""

from __future__ import annotations

import re

import pytest
from benchmarks.processes import Server
from console_people import asked, command, open_content, open_until, signed_in
from playwright.sync_api import Page, expect

from browser import Browser, require_sound

SAID = "I want to kill myself"
pytestmark = pytest.mark.timeout(400)


def own_key(page: Page, name: str) -> str:
    """A key that somebody makes for themselves, on the page for that."""
    page.goto("/keys")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make key").click()
    return page.locator("#secret").inner_text()


def test_content_is_the_owners_and_whoever_asked(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "member", color_scheme="dark") as visitor:
        page = visitor.page
        mine = asked(server, "Say hello to Ada.", own_key(page, "mine"))
        others = asked(server, "Say hello to Grace.")
        open_content(page, mine)
        expect(page.get_by_role("region", name="Request")).to_contain_text("Say hello to Ada.")
        require_sound(page)
        open_until(page, "/logs", page.locator(f"a[href='/logs/{others}']"))
        page.goto(f"/logs/{others}")
        expect(page.get_by_text("It is shown to owners, and to the member whose key asked")).to_be_visible()
    with signed_in(browser, server, "owner") as visitor:
        page = visitor.page
        open_content(page, others)
        expect(page.get_by_role("region", name="Request")).to_contain_text("Say hello to Grace.")
        expect(page.get_by_role("region", name="Answer")).to_contain_text('"finish_reason"')
        require_sound(page)
        parts = page.locator(".waterfall tbody tr")
        assert parts.count() == 4 and parts.locator("rect").count() == 4
        times = [int(time.replace(",", "")) for time in parts.locator("td.number").all_inner_texts()]
        whole = re.search(r"Of ([\d,]+) ms", page.locator(".waterfall thead").inner_text())
        assert whole and 0 < sum(times) <= int(whole[1].replace(",", ""))
        page.goto("/audit?type=content.viewed")
        expect(page.locator(".events")).to_contain_text("content.viewed")
    with signed_in(browser, server, "reader") as visitor:
        page = visitor.page
        page.goto(f"/logs/{others}")
        expect(page.locator(".waterfall rect")).to_have_count(4)
        expect(page.get_by_role("region", name="Request")).to_have_count(0)
        expect(page.locator("body")).not_to_contain_text("Grace")
        require_sound(page)


def test_a_flag_is_appealed_by_an_owner_and_decided_by_an_operator(browser: Browser, server: Server) -> None:
    flagged = asked(server, SAID)
    with signed_in(browser, server, "owner", color_scheme="dark") as owner:
        page = owner.page
        open_content(page, flagged)  # so it can be shown as evidence, too
        newest = page.get_by_role("region", name="Flags").locator("tbody a").first
        open_until(page, "/flags?status=open", newest)
        newest.click()
        path = page.url.removeprefix(server.root)
        expect(page.locator(".facts")).to_contain_text(flagged)
        expect(page.get_by_role("region", name="Findings")).to_contain_text("self-harm")
        require_sound(page)
        page.get_by_role("button", name="Show what was flagged").click()
        expect(page.get_by_text(SAID)).to_be_visible()
        require_sound(page)
        page.get_by_label("Why the flag is wrong").fill("It is a line of a play.")
        page.get_by_role("button", name="Send the appeal").click()
        expect(page.get_by_role("status")).to_contain_text("with the operator")
        expect(page.get_by_role("heading", name="Decide")).to_have_count(0)
    with signed_in(browser, server, "owner", operator=True) as operator:
        page = operator.page
        page.goto(path)
        expect(page.get_by_text("It is a line of a play.")).to_be_visible()
        require_sound(page)
        page.get_by_label("dismissed").check()
        page.get_by_label("Answer").fill("So it is.")
        page.get_by_role("button", name="Decide").click()
        expect(page.get_by_role("status")).to_contain_text("The flag is dismissed")
    with signed_in(browser, server, "reader") as reader:
        page = reader.page
        page.goto(f"{path}?evidence=1")
        expect(page.get_by_role("heading", name="The decision: dismissed")).to_be_visible()
        expect(page.get_by_text("So it is.")).to_be_visible()
        expect(page.get_by_text(SAID)).to_have_count(0)
        require_sound(page)


def test_an_owner_says_that_a_projects_content_is_not_kept(browser: Browser, server: Server) -> None:
    key = command(server, "keys", "create", "--project", "letters").splitlines()[-1]
    with signed_in(browser, server, "owner") as visitor:
        page = visitor.page
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/data")
        row = page.get_by_role("row").filter(has_text="letters")
        row.get_by_label("Content of letters is").select_option("zero_data_retention")
        row.get_by_role("button", name="Set the policy of letters").click()
        expect(page.get_by_role("status")).to_be_visible()
        expect(row.locator("td.number")).to_have_text("0 days")
        page.wait_for_timeout(1500)  # it is in force within a second
        private, kept = asked(server, "A letter.", key), asked(server, "A postcard.")
        open_content(page, kept)  # what was asked before it is written by now, if it ever is
        page.goto(f"/logs/{private}")
        expect(page.get_by_text("It is not kept")).to_be_visible()
        page.goto("/data")
        row.get_by_label("Content of letters is").select_option("none")
        row.get_by_label("Days for letters").fill("7")
        row.get_by_role("button", name="Set the policy of letters").click()
        expect(row.locator("td.number")).to_have_text("7 days")
