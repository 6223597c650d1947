"""Q-Chat in a real browser, on the bundled model: study, be asked, answer, ask, stop, and what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.processes import Server, free_port
from drivers import application
from playwright.sync_api import Browser, Page, expect

from browser import PHONE, drop, findings, visiting

TEXTS = Path(__file__).parents[2] / "examples" / "q_chat" / "page" / "texts"
SECONDS = 120_000
"""Longest wait for the model, in milliseconds: the machine may be busy."""


@pytest.fixture(scope="module")
def address(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with application("q_chat", tmp_path_factory.mktemp("q_chat"), server.url, server.key) as address:
        yield address


def begin(page: Page, address: str, text: str = "tides.md") -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if page.get_by_role("button", name="Change material").is_visible():  # what somebody studied before
        page.get_by_role("button", name="Change material").click()
    page.get_by_role("button", name=text).click()
    expect(page.get_by_role("button", name="Next question")).to_be_focused()


def next_question(page: Page) -> str:
    """The model's question, once it is there to be answered."""
    before = page.locator("#log form").count()
    page.get_by_role("button", name="Next question").click()
    expect(page.locator("#log form")).to_have_count(before + 1, timeout=SECONDS)
    return page.locator("#log .question").last.inner_text()


def told(page: Page) -> str:
    """The verdict and the feedback of the last question, once they are whole, and its citation is there."""
    card = page.locator("#log article").last
    card.locator("details").first.wait_for(timeout=SECONDS)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    return card.inner_text()


def test_a_student_is_asked_and_told_and_sees_the_progress(address: str, browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        begin(page, address)
        expect(page.locator("#sections li")).to_have_count(5)
        met = set()
        for _ in range(3):  # the level rises with right answers, so that all kinds of questions are met
            question = next_question(page)
            assert re.fullmatch(r"[A-Z].+\?", question)
            card = page.locator("#log article").last
            met.add(card.locator("small").inner_text().split(" · ")[0])
            if card.locator("fieldset button").count() > 1:
                card.get_by_role("button", name="gravity").click()
            else:
                card.locator("input, textarea").fill(
                    "The Moon pulls harder on the side of Earth that faces it"
                )
                card.get_by_role("button", name="Answer").click()
            shown = told(page)
            assert re.search(r"^Right$", shown, re.MULTILINE)
            assert re.search(r"^(Yes|Right|Correct), .+\.$", shown, re.MULTILINE)
        assert met == {"Choose", "Fill in", "In your own words"}
        assert re.search(r"3 of \d known", page.locator("#sections li").first.inner_text())
        assert findings(page) == []


def test_what_the_student_asks_is_answered_and_cited(address: str, browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        begin(page, address)
        field = page.get_by_label("Ask about the material")
        field.fill("How high can the water rise in the Bay of Fundy?")
        field.press("Enter")
        quote = page.locator("#log blockquote")
        quote.wait_for(timeout=SECONDS)
        assert quote.first.inner_text() in " ".join(
            (TEXTS / "tides.md").read_text().replace("**", "").split()
        )
        assert "16 metres" in quote.first.inner_text()
        assert "Fundy" in page.locator("#log .card:not(.mine) p").first.inner_text()
        expect(field).to_have_value("")
        field.fill("Who painted the Mona Lisa?")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("hardly any words")
        expect(field).to_have_value("Who painted the Mona Lisa?")


def test_a_file_of_ones_own_and_one_that_is_damaged(address: str, browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        begin(page, address)
        page.get_by_role("button", name="Change material").click()
        broken = {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 and then nothing"}
        page.locator("#file").set_input_files(broken)
        expect(page.get_by_role("alert")).to_contain_text("damaged or locked")
        visitor.problems.clear()  # the browser notes each answer of 400
        page.locator("#file").set_input_files(TEXTS / "water-cycle.pdf")
        expect(page.locator("#title")).to_have_text("The water cycle")
        expect(page.get_by_role("alert")).to_be_hidden()
        page.reload()
        expect(page.locator("#title")).to_have_text("The water cycle")
        page.get_by_role("button", name="Change material").click()
        expect(page.get_by_role("heading", name="What do you want to study?")).to_be_visible()


def test_a_file_that_is_dropped_is_studied(address: str, browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        begin(page, address)
        page.get_by_role("button", name="Change material").click()
        drop(page, TEXTS / "water-cycle.md", page.locator("#drop"))
        expect(page.locator("#title")).to_have_text("The water cycle")
        expect(page.get_by_role("button", name="Next question")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(address: str, browser: Browser, scheme: str) -> None:
    with visiting(browser, viewport=PHONE, color_scheme=scheme) as visitor:
        page = visitor.page
        begin(page, address)
        page.get_by_role("button", name="Change material").click()
        assert findings(page) == []
        begin(page, address)
        next_question(page)
        assert findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_stop_ends_what_is_written(address: str, browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.page
        begin(page, address)
        page.get_by_role("button", name="Next question").click()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Next question")).to_be_enabled()
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        assert page.locator("#log .question").count() == 0
        next_question(page)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("key", re.compile("key", re.IGNORECASE)), ("address", re.compile("cannot be reached"))],
)
def test_errors_of_the_server_are_shown(
    server: Server, browser: Browser, wrong: str, says: re.Pattern[str], tmp_path: Path
) -> None:
    url = server.url if wrong == "key" else f"http://127.0.0.1:{free_port()}/v1"
    with application("q_chat", tmp_path, url, "sk-wrong") as address, visiting(browser) as visitor:
        page = visitor.page
        begin(page, address)
        field = page.get_by_label("Ask about the material")
        field.fill("What is a spring tide?")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(says, timeout=SECONDS)
        expect(field).to_have_value("What is a spring tide?")
