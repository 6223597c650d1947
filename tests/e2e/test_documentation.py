"""The documentation in a browser: read, searched, copied from; light, dark, on a phone, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.processes import Server
from playwright.sync_api import Page, expect

from antiphon.cli.docs import write_site
from browser import PHONE, Browser, findings, visiting

PAGES = ("", "/quickstart", "/billing", "/models", "/settings", "/errors", "/api", "/no-such-page")
SCREENS = [{}, {"color_scheme": "dark"}, {"viewport": PHONE}]


@contextmanager
def reading(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    with visiting(browser, **options) as visitor:
        visitor.page.goto(address)
        yield visitor.page


@pytest.mark.parametrize("screen", SCREENS, ids=["light", "dark", "phone"])
def test_pages_can_be_used_by_everybody(server: Server, browser: Browser, screen: dict[str, object]) -> None:
    found = {}
    with visiting(browser, **screen) as visitor:
        for path in PAGES:
            visitor.page.goto(f"{server.root}/docs{path}")
            expect(visitor.page.get_by_role("heading", level=1)).to_have_count(1)
            if problems := findings(visitor.page):
                found[path] = problems
            wide = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} has to be scrolled sideways"
        visitor.problems = [one for one in visitor.problems if "404" not in one]  # one is not there
    assert found == {}


def test_the_way_through_the_pages(server: Server, browser: Browser) -> None:
    with reading(browser, f"{server.root}/docs") as page:
        page.get_by_role("main").get_by_role("link", name="Accounts, limits and the bill").click()
        expect(page).to_have_url(f"{server.root}/docs/billing")
        pages = page.get_by_role("navigation", name="Pages")
        expect(pages.get_by_role("link", name="Accounts, limits and the bill")).to_have_attribute(
            "aria-current", "page"
        )
        crumbs = page.get_by_role("navigation", name="Breadcrumb")
        expect(crumbs).to_contain_text("Guides")
        page.get_by_role("navigation", name="On this page").get_by_role("link", name="Prices").click()
        expect(page).to_have_url(f"{server.root}/docs/billing#prices")
        expect(page.get_by_role("heading", name="Prices")).to_be_in_viewport()
        page.get_by_role("article").get_by_role("link", name="dedicated instance").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Dedicated instances")
        page.go_back()
        page.get_by_role("link", name="Next").click()
        expect(page).to_have_url(f"{server.root}/docs/models")
        page.get_by_role("navigation", name="Pages").get_by_text("Reference", exact=True).click()
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="API reference").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("API reference")
        expect(page.get_by_role("heading", name="POST /v1/chat/completions", exact=True)).to_be_visible()


def searched(page: Page) -> None:
    """Search by keys alone: a word of one page's body, a code, nothing."""
    page.keyboard.press("/")
    page.keyboard.type("rate_limit_exceeded")
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    for option in options.all():
        assert "rate_limit_exceeded" in (option.text_content() or "").lower()
    page.get_by_role("combobox").fill("budget")
    expect(options.first.locator("b")).to_have_text("Budgets")
    expect(options.first.locator(".trail")).to_have_text("Guides › Limits and budgets")
    page.get_by_role("combobox").fill("upgrading")
    expect(options.first.locator("b")).to_have_text("Upgrading")
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert findings(page) == []
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.get_by_role("combobox").fill("zzzzz")
    expect(page.locator(".said")).to_contain_text("Nothing holds “zzzzz”")
    page.get_by_role("combobox").fill("asking twice")
    expect(options.first).to_contain_text("Asking twice")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Asking twice")).to_be_in_viewport()


def test_search_by_keys(server: Server, browser: Browser) -> None:
    with reading(browser, f"{server.root}/docs/decisions/0001-engines-are-processes") as page:
        searched(page)
        expect(page).to_have_url(f"{server.root}/docs/billing#asking-twice")


def test_a_route_is_found_by_its_name_and_by_its_fields(server: Server, browser: Browser) -> None:
    with reading(browser, f"{server.root}/docs") as page:
        page.get_by_role("combobox").fill("POST /v1/moderations")
        options = page.get_by_role("option")
        expect(options.first.locator("b")).to_have_text("POST /v1/moderations")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="POST /v1/moderations", exact=True)).to_be_in_viewport()
        page.get_by_role("combobox").fill("max_tokens")
        route = re.compile(r"^POST /v1/chat/completions$")
        expect(options.locator("b").filter(has_text=route)).to_be_visible()


def test_the_site_of_files_is_searched_alike(browser: Browser, tmp_path: Path) -> None:
    write_site(tmp_path)
    first = (tmp_path / "decisions/0001-engines-are-processes.html").as_uri()
    with visiting(browser, bypass_csp=True) as visitor:
        visitor.page.goto(first)
        searched(visitor.page)
        expect(visitor.page).to_have_url(f"{(tmp_path / 'billing.html').as_uri()}#asking-twice")
        # What looks for problems of access reads style sheets anew, which it may not on a disk.
        visitor.problems.clear()


def test_code_is_copied_as_it_is_typed(server: Server, browser: Browser) -> None:
    options = {"permissions": ["clipboard-read", "clipboard-write"]}
    with reading(browser, f"{server.root}/docs/billing", **options) as page:
        session, program = page.locator(".code").nth(0), page.locator(".code[data-language=python]")
        for block, begin in (
            (session, "antiphon orgs create acme\nantiphon projects"),
            (program, "from openai"),
        ):
            block.get_by_role("button").click()
            expect(block.get_by_role("button")).to_have_text("Copied")
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied.startswith(begin) and "$" not in copied and "Copy" not in copied


def test_light_and_dark_are_different(server: Server, browser: Browser) -> None:
    ground = "one => getComputedStyle(document.querySelector(one)).backgroundColor"
    grounds = []
    for scheme in ("light", "dark"):
        with reading(browser, f"{server.root}/docs/billing", color_scheme=scheme) as page:
            grounds.append([page.evaluate(ground, one) for one in ("body", ".code pre")])
    light, dark = grounds
    assert light[0] == "rgb(255, 255, 255)" and not set(light) & set(dark)


def test_on_a_phone_the_pages_are_behind_a_button(server: Server, browser: Browser) -> None:
    with reading(browser, f"{server.root}/docs/billing", viewport=PHONE) as page:
        pages, button = page.locator("#frame-pages"), page.get_by_role("button", name="Pages")
        expect(pages).to_be_hidden()
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        pages.get_by_role("link", name="Speech", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Speech")


def test_without_scripts_everything_but_search_is_there(server: Server, browser: Browser) -> None:
    with reading(browser, f"{server.root}/docs/billing", java_script_enabled=False) as page:
        expect(page.get_by_role("search")).to_be_hidden()
        # What is for browsers without scripts is no element to this one, which only does not run them.
        assert "<noscript>" in page.content() and "Searching needs JavaScript" in page.content()
        expect(page.get_by_role("button")).to_have_count(0)
        page.locator("#frame-pages").get_by_role("link", name="Streaming").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Streaming")
