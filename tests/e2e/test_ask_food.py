"""The food assistant of the examples, as somebody in front of a browser finds it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.processes import Server

from browser import PHONE, Browser, Page, findings, visiting
from servers import free_port

APP = Path(__file__).parents[2] / "examples" / "ask_food" / "app.py"
SECONDS = 120_000


@contextmanager
def opened(server: Server, *options: str) -> Iterator[str]:
    """The assistant: its address, once it says it."""
    environment = os.environ | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": server.key}
    command = [sys.executable, str(APP), "--port", "0", *options]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def counter(server: Server) -> Iterator[str]:
    with opened(server) as address:
        yield address


def ask(page: Page, words: str) -> None:
    """Ask, and wait until the answer has ended."""
    page.get_by_label("Your question").fill(words)
    page.keyboard.press("Enter")
    page.locator("#stop").wait_for()
    page.locator("#stop").wait_for(state="hidden", timeout=SECONDS)


@pytest.mark.timeout(400)
def test_a_recipe_becomes_a_basket_that_a_store_can_fill(browser: Browser, counter: str) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        page.goto(counter)
        page.get_by_label("You are at").wait_for()
        assert page.get_by_text("Nothing in it yet").is_visible() and findings(page) == []
        ask(page, "What do you need to make tacos?")
        card = page.locator(".card").last
        assert "find_recipe" in card.inner_text() and "tortillas" in card.inner_text()
        ask(page, "Put them in my basket")
        assert page.locator("#lines li").count() == 7
        assert page.locator("#stores li").first.inner_text().endswith("has everything")
        # Every answer was checked, or is said to have been given up.
        assert page.locator(".answer.checking").count() == 0
        assert page.locator(".answer, #turns .note").count() == 2
        assert findings(page) == []
        nearest = page.locator("#stores li").first.inner_text()
        page.get_by_label("You are at").select_option("Harbour")
        page.wait_for_function(
            "before => document.querySelector('#stores li').innerText !== before", arg=nearest
        )
        page.get_by_role("button", name="Take limes out").click()
        page.get_by_role("button", name="Take limes out").wait_for(state="detached")
        assert page.locator("#lines li").count() == 6


@pytest.mark.timeout(300)
def test_a_phone_and_stop(browser: Browser, counter: str) -> None:
    with visiting(browser, viewport=PHONE, color_scheme="dark") as visitor:
        page = visitor.page
        page.goto(counter)
        page.get_by_role("button", name="Buy everything for mushroom risotto").click()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Ask").wait_for()
        assert page.get_by_text("Stopped before this answer was checked.").is_visible()
        assert page.locator(".answer.checking").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert findings(page) == []


def test_an_error_of_the_server_is_shown(browser: Browser, server: Server) -> None:
    with opened(server, "--model", "no-such-model") as address, visiting(browser) as visitor:
        page = visitor.page
        page.goto(address)
        page.get_by_label("Your question").fill("Is there any honey?")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        assert "no-such-model" in page.get_by_role("alert").inner_text()
        assert page.get_by_label("Your question").input_value() == "Is there any honey?"


def test_a_server_that_is_not_there_is_told() -> None:
    nowhere = {"OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1", "OPENAI_API_KEY": "sk-none"}
    done = subprocess.run(
        [sys.executable, str(APP)], env=os.environ | nowhere, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "cannot be reached" in done.stderr
