"""Recordings in a browser, on the bundled model: files, the microphone, words to click, subtitles to save."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import httpx
from benchmarks.processes import Server
from console_people import signed_in
from playwright.sync_api import Page, expect

from browser import DESK, FLAGS, PHONE, Browser, drop, findings, installed

DATA = Path(__file__).parents[1] / "data"
GERMAN = DATA / "de_cuttledoc_fleurs-de-004.ogg"
SPOKEN = DATA / "en_pyroomacoustics_cmu_arctic_us_aew_a0003.wav"
ANSWER_MS = 120_000
"""How long a transcript may take on a busy machine, in milliseconds."""


def understood(page: Page, task: str, section: str) -> str:
    """Press the button `task`; the text of its `section`, once it is whole."""
    page.get_by_role("button", name=task).click()
    about = page.locator(f"#{section} [data-about]")
    expect(about).to_contain_text("of sound", timeout=ANSWER_MS)
    return page.locator(f"#{section} [data-segments]").inner_text()


def saved(page: Page, section: str, form: str) -> tuple[str, str]:
    """Name and content of what a button of `section` saves."""
    with page.expect_download() as download:
        page.locator(f"#{section}").get_by_role("button", name=form, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_text()


def test_a_file_is_written_down_played_from_a_word_translated_and_saved(
    browser: Browser, server: Server
) -> None:
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        page.goto("/speech")
        expect(page.get_by_role("button", name="Transcribe")).to_be_disabled()
        page.get_by_label("A file").set_input_files(GERMAN)
        said = understood(page, "Transcribe", "transcript")
        assert "Spitze eines der Berge" in said
        expect(page.locator("#transcript")).to_contain_text("German · 9.9 s of sound")
        expect(page.locator("#transcript")).to_contain_text("$0.001")
        word = page.locator("#transcript .word").nth(6)
        word.click()
        start = float(word.get_attribute("data-start") or "")
        assert start > 0
        page.wait_for_function("start => player.currentTime >= start", arg=start)
        page.locator("#transcript .word.now").wait_for()
        page.evaluate("player.pause()")
        page.evaluate("start => { player.currentTime = start }", start)
        expect(page.locator(".word.now")).to_have_attribute("data-start", str(start))
        assert "Mecca" in understood(page, "Translate into English", "translation")
        assert "Spitze" in page.locator("#transcript").inner_text(), "both are there to compare"
        for size in (PHONE, DESK):
            page.set_viewport_size(size)
            assert findings(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        saved_as_the_api_writes(page, server)


def saved_as_the_api_writes(page: Page, server: Server) -> None:
    for form in ("srt", "vtt", "txt"):
        name, content = saved(page, "transcript", form)
        assert name == f"{GERMAN.stem}.{form}"
        assert content == asked(server, "text" if form == "txt" else form)
    name, content = saved(page, "translation", "json")
    assert name == f"{GERMAN.stem}.en.json" and json.loads(content)["task"] == "translate"
    words = json.loads(saved(page, "transcript", "json")[1])["words"]
    assert words[0].keys() == {"word", "start", "end"}


def asked(server: Server, form: str) -> str:
    """What the API itself answers in that format."""
    answer = httpx.post(
        f"{server.url}/audio/transcriptions",
        headers={"Authorization": f"Bearer {server.key}"},
        data={"model": "whisper-1", "response_format": form, "temperature": "0"},
        files={"file": GERMAN.read_bytes()},
        timeout=ANSWER_MS / 1000,
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def test_arrows_move_between_words(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        page.goto("/speech")
        page.get_by_label("A file").set_input_files(SPOKEN)
        understood(page, "Transcribe", "transcript")
        words = page.locator("#transcript .word")
        assert words.evaluate_all("words => words.filter((word) => word.tabIndex === 0).length") == 1
        words.first.focus()
        page.keyboard.press("ArrowRight")
        expect(words.nth(1)).to_be_focused()
        page.keyboard.press("ArrowLeft")
        expect(words.first).to_be_focused()


def test_a_file_is_dropped_anywhere_on_the_page(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        page.goto("/speech")
        drop(page, SPOKEN, page.get_by_role("heading", name="How it is understood"))
        expect(page.locator("#name")).to_have_text(SPOKEN.name)
        expect(page.locator("body")).not_to_have_class("dropping")
        page.wait_for_function("() => player.duration > 3")
        expect(page.get_by_role("button", name="Transcribe")).to_be_enabled()


def test_what_is_no_recording_is_refused_and_may_be_tried_again(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        page.goto("/speech")
        page.get_by_label("A file").set_input_files(
            {"name": "notes.wav", "mimeType": "audio/wav", "buffer": b"not sound " * 40}
        )
        page.get_by_role("button", name="Transcribe").click()
        expect(page.locator("#problem")).to_contain_text("parameter file", timeout=ANSWER_MS)
        expect(page.locator("#name")).to_have_text("notes.wav")
        expect(page.get_by_role("button", name="Transcribe")).to_be_enabled()
        visitor.problems.clear()  # the browser itself notes that a request was refused
        page.get_by_label("A file").set_input_files(
            {"name": "huge.wav", "mimeType": "audio/wav", "buffer": bytes(26 * 1024 * 1024)}
        )
        expect(page.locator("#problem")).to_contain_text("more than the server takes")


def test_the_microphone_is_heard(browser: Browser, server: Server) -> None:
    flags = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={SPOKEN}")
    hearing = browser.browser_type.launch(executable_path=installed(), args=[*FLAGS, *flags])
    with closing(hearing), signed_in(hearing, server, "member") as visitor:
        page = visitor.page
        page.goto("/speech")
        page.get_by_role("button", name="Record").click()
        page.wait_for_function("() => level.value > 0.02")
        expect(page.get_by_role("timer")).to_have_text("0:09", timeout=30_000)
        page.get_by_role("button", name="Stop recording").click()
        expect(page.get_by_role("link", name="Save the recording")).to_be_visible()
        page.wait_for_function("() => isFinite(player.duration) && player.duration > 5")
        said = understood(page, "Transcribe", "transcript").lower()
        assert "men shook hands" in said or "twentieth time" in said or "20th time" in said
        with page.expect_download() as download:
            page.get_by_role("link", name="Save the recording").click()
        assert Path(download.value.path()).read_bytes()[:4] == b"\x1aE\xdf\xa3", "webm"


def test_a_reader_sees_why_there_is_nothing_to_choose(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "reader") as visitor:
        page = visitor.page
        page.goto("/speech")
        expect(page.get_by_text("Your role is reader")).to_be_visible()
        expect(page.get_by_role("button", name="Transcribe")).to_have_count(0)
        assert findings(page) == []
