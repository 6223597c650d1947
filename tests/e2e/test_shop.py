"""The shopping assistant of the examples, as somebody in front of a browser finds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.processes import Server
from drivers import application

from browser import PHONE, Browser, findings, visiting

SECONDS = 120_000


@contextmanager
def opened(server: Server, folder: Path, *options: str) -> Iterator[str]:
    """The address of the shop, with a small catalogue that is kept in the folder."""
    few = ("--products", "5000", *options)
    with application("shop", folder, server.url, server.key, *few, XDG_CACHE_HOME=str(folder)) as address:
        yield address


@pytest.fixture(scope="module")
def address(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with opened(server, tmp_path_factory.mktemp("shop")) as address:
        yield address


@pytest.mark.timeout(400)
def test_a_wish_and_what_follows(browser: Browser, address: str) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        page.goto(address)
        assert page.get_by_text("Begin with one of these").is_visible() and findings(page) == []
        page.get_by_label("Your wish").fill("waterproof hiking boots in blue, under 150 euros")
        page.keyboard.press("Enter")
        page.locator("#products li").first.wait_for(timeout=SECONDS)
        assert page.locator("#chips .set").all_inner_texts() == [
            "hiking boots", "waterproof ×", "blue ×", "up to 150 € ×",
        ]  # fmt: skip
        for about in page.locator("#products .about").all_inner_texts():
            assert about.startswith("Hiking boots in blue") and "waterproof" in about
        prices = page.locator("#products .price").all_inner_texts()
        assert prices and all(int(price.removesuffix(" €")) <= 150 for price in prices)
        # Each of the first is given a reason that was checked, or is said to have none.
        page.locator("#stop").wait_for(state="hidden", timeout=SECONDS)
        assert page.locator(".writing").count() == 0
        settled = page.locator(".reason").all_inner_texts()
        assert len(settled) == min(3, len(prices)) and all(len(text.split()) > 3 for text in settled)
        # Of the model's first words, the likeliest ones, four of five hold: some of these do.
        names = page.locator("#products li:has(.reason:not(.none)) h2").all_inner_texts()
        reasons = page.locator(".reason:not(.none)").all_inner_texts()
        assert reasons, settled
        assert all(name.split()[0] in reason for name, reason in zip(names, reasons, strict=True))
        assert findings(page) == []
        # What follows goes on from there, and a filter can be taken away again, while reasons are worded too.
        page.get_by_label("Your wish").fill("in red")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name="Remove red").wait_for(timeout=SECONDS)
        assert page.get_by_role("button", name="Remove blue").count() == 0
        page.get_by_role("button", name="Remove waterproof").click()
        page.get_by_role("button", name="Remove waterproof").wait_for(state="detached", timeout=SECONDS)
        assert page.locator("#chips .set").all_inner_texts() == ["hiking boots", "up to 150 € ×", "red ×"]
        assert page.get_by_role("alert").is_hidden()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Search").wait_for()


@pytest.mark.timeout(300)
def test_a_phone_and_stop(browser: Browser, address: str) -> None:
    with visiting(browser, viewport=PHONE, color_scheme="dark") as visitor:
        page = visitor.page
        page.goto(address)
        page.get_by_role("button", name="The cheapest wooden desk lamp").click()
        page.locator("#products li").first.wait_for(timeout=SECONDS)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Search").wait_for()
        assert page.locator(".writing").count() == 0 and page.locator("#products li").count() > 0
        assert page.get_by_label("Your wish").input_value().startswith("The cheapest wooden desk lamp")
        assert findings(page) == []


def test_an_error_of_the_server_is_shown(browser: Browser, server: Server, tmp_path: Path) -> None:
    with opened(server, tmp_path, "--model", "no-such-model") as address, visiting(browser) as visitor:
        page = visitor.page
        page.goto(address)
        page.get_by_label("Your wish").fill("a red kettle")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        assert "no-such-model" in page.get_by_role("alert").inner_text()
        assert page.get_by_label("Your wish").input_value() == "a red kettle"
