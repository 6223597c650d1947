"""examples/speak as a person uses it: a browser with a microphone, which hears a recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks.processes import Server
from drivers import application
from playwright.sync_api import Page, expect

from browser import FLAGS, PHONE, Browser, Visitor, findings, installed, visiting

SAID = "en_pyroomacoustics_cmu_arctic_us_aew_a0003.wav"
SECONDS = 3.6
"""For the twentieth time that evening the two men shook hands. The browser says it again and again."""
LONG = 120_000
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def address(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with application("speak", tmp_path_factory.mktemp("speak"), server.url, server.key) as address:
        yield address


@pytest.fixture(scope="module")
def speaker(browser: Browser, recordings: Path) -> Iterator[Browser]:
    """A browser whose microphone hears a recording."""
    heard = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={recordings / SAID}"]
    opened = browser.browser_type.launch(executable_path=installed(), args=[*FLAGS, *heard])
    yield opened
    opened.close()


def speak(page: Page) -> None:
    """Record for as long as the sentence takes."""
    page.get_by_role("button", name="Start speaking").click()
    expect(page.get_by_role("button", name="Stop speaking")).to_be_visible()
    page.wait_for_timeout(1000 * SECONDS)
    page.get_by_role("button", name="Stop speaking").click()


def test_a_sentence_is_heard_answered_and_compared(speaker: Browser, address: str) -> None:
    with visiting(speaker) as visitor:
        page = visitor.page
        page.goto(address)
        expect(page.get_by_text("Say the sentence aloud, or clear it")).to_be_visible()
        assert findings(page) == []
        page.get_by_label("Say this sentence").fill("That evening the two women shook hands.")
        speak(page)
        how = page.get_by_role("region", name="How you spoke")
        expect(how.locator("del")).to_contain_text(["women"], timeout=LONG)
        expect(how.locator("ins").filter(has_text="men")).not_to_have_count(0)
        expect(page.locator("#talk .mine")).to_contain_text("shook hands")
        words = how.get_by_role("group", name="What was heard").get_by_role("button")
        times = [float(words.nth(at).locator("small").inner_text().split()[0]) for at in range(words.count())]
        assert len(times) > 5 and times == sorted(times) and 2 < times[-1] < 2 * SECONDS
        words.last.click()
        page.wait_for_function("start => player.currentTime >= start", arg=times[-1])
        expect(page.locator("#latency")).to_contain_text("after you stopped", timeout=LONG)
        expect(page.get_by_role("button", name="Start speaking")).to_be_visible(timeout=LONG)
        assert 80 < int(page.locator("#pace").inner_text().split()[0]) < 320
        assert page.locator("#talk .card:not(.mine) span").inner_text().strip()
        assert findings(page) == []
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]


def test_targets_are_offered(browser: Browser, address: str) -> None:
    with visiting(browser, viewport=PHONE, color_scheme="dark") as visitor:
        page = visitor.page
        page.goto(address)
        target = page.get_by_label("Say this sentence")
        expect(target).not_to_have_value("")
        first = target.input_value()
        page.get_by_role("button", name="Another sentence").click()
        expect(target).not_to_have_value(first)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
        assert findings(page) == []


def test_an_answer_is_stopped_and_nothing_is_compared_without_a_target(
    speaker: Browser, address: str
) -> None:
    with visiting(speaker) as visitor:
        page = visitor.page
        page.goto(address)
        page.get_by_label("Say this sentence").fill("")
        speak(page)
        # In the page itself: a short answer is over before a test that looks now and then has seen it.
        page.wait_for_function(
            """() => {
                const answering = document.getElementById("state").textContent.includes("answering");
                if (answering) document.getElementById("stop").click();
                return answering;
            }""",
            timeout=LONG,
        )
        expect(page.get_by_role("button", name="Start speaking")).to_be_focused()
        expect(page.locator(".writing")).to_have_count(0)
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#pace")).to_contain_text("words a minute")
        expect(page.locator("#words")).to_be_empty()


def test_an_error_of_the_server_is_shown_and_the_recording_kept(
    speaker: Browser, server: Server, tmp_path: Path
) -> None:
    with (
        application("speak", tmp_path, server.url, "sk-wrong") as address,
        closing(Visitor(speaker)) as visitor,
    ):
        page = visitor.page
        page.goto(address)
        speak(page)
        expect(page.get_by_role("alert")).to_contain_text("Incorrect API key", timeout=LONG)
        page.get_by_role("button", name="Try this recording again").click()
        expect(page.get_by_role("alert")).to_contain_text("Incorrect API key", timeout=LONG)
        expect(page.get_by_role("button", name="Start speaking")).to_be_visible()
