"""The food assistant of the examples, as somebody in front of a browser finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.processes import Server, free_port
from drivers import application

from browser import PHONE, Browser, Page, findings, visiting

SECONDS = 120_000


@pytest.fixture(scope="module")
def address(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with application("ask_food", tmp_path_factory.mktemp("ask_food"), server.url, server.key) as address:
        yield address


def ask(page: Page, words: str) -> None:
    """Ask, and wait until the answer has ended."""
    page.get_by_label("Your question").fill(words)
    page.keyboard.press("Enter")
    page.locator("#stop").wait_for()
    page.locator("#stop").wait_for(state="hidden", timeout=SECONDS)


@pytest.mark.timeout(400)
def test_a_recipe_becomes_a_basket_that_a_store_can_fill(browser: Browser, address: str) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        page.goto(address)
        page.get_by_role("button", name="Ask").wait_for()
        assert page.get_by_text("Nothing in it yet").is_visible() and findings(page) == []
        ask(page, "What do you need to make tacos?")
        card = page.locator("#turns .card").last
        assert "find_recipes" in card.inner_text() and "tortillas" in card.inner_text()
        ask(page, "Put them in my basket")
        assert page.locator("#lines li").count() == 7
        assert page.locator("#stores li").first.inner_text().endswith("has everything")
        # Every answer was checked, or is said not to have been.
        assert page.locator(".writing").count() == 0
        assert page.locator("#turns > li > p:last-child:not(:empty)").count() == 2
        # The model's likeliest words hold nearly always: one answer at least is its own.
        told = page.locator("#turns > li > p:last-child:not(.quiet)").all_inner_texts()
        assert told and all("tortillas" in answer for answer in told)
        assert findings(page) == []
        nearest = page.locator("#stores li").first.inner_text()
        page.get_by_label("You are at").select_option("Harbour")
        page.wait_for_function(
            "before => document.querySelector('#stores li').innerText !== before", arg=nearest
        )
        ask(page, "Take the limes out of my basket")
        assert page.locator("#lines li").count() == 6
        # The basket is still there when the page is opened again.
        page.reload()
        page.locator("#lines li").first.wait_for()
        assert page.locator("#lines li").count() == 6
        assert page.get_by_label("You are at").input_value() == "Harbour"


@pytest.mark.timeout(300)
def test_a_phone_and_stop(browser: Browser, address: str) -> None:
    with visiting(browser, viewport=PHONE, color_scheme="dark") as visitor:
        page = visitor.page
        page.goto(address)
        page.get_by_role("button", name="Buy everything for mushroom risotto").click()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Ask").wait_for()
        assert page.get_by_text("The answer was not finished").is_visible()
        assert page.locator(".writing").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert findings(page) == []


def test_an_error_of_the_server_is_shown(browser: Browser, server: Server, tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    for url, options, told in (
        (server.url, ["--model", "no-such-model"], "no-such-model"),
        (nowhere, [], "cannot be reached"),
    ):
        with (
            application("ask_food", tmp_path, url, server.key, *options) as address,
            visiting(browser) as visitor,
        ):
            page = visitor.page
            page.goto(address)
            page.get_by_label("Your question").fill("Is there any honey?")
            page.get_by_role("button", name="Ask").click()
            page.get_by_role("alert").wait_for()
            assert told in page.get_by_role("alert").inner_text()
            assert page.get_by_label("Your question").input_value() == "Is there any honey?"
