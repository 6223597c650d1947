"""The playground in a browser, on the bundled model: asked, stopped, changed, shown as code that runs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest
from benchmarks.processes import Server
from console_people import signed_in
from drivers import CLIENTS, environment, installed
from playwright.sync_api import Locator, Page, expect

from browser import DESK, PHONE, Browser, Visitor, findings

ANSWER_MS = 90_000
"""How long an answer may take on a busy machine, in milliseconds."""


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    """A member at the empty playground, who asks for few tokens, the likeliest ones."""
    with signed_in(browser, server, "member") as member:
        member.page.goto("/playground")
        member.page.get_by_label("Temperature").fill("0")
        member.page.get_by_label("Most tokens").fill("24")
        yield member


def send(page: Page, text: str) -> Locator:
    """Ask with the keyboard; the last answer, once it is whole."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Control+Enter")
    return whole(page)


def whole(page: Page) -> Locator:
    answer = page.locator(".message.assistant").last
    expect(answer.locator("p.hint")).to_contain_text("tokens in", timeout=ANSWER_MS)
    return answer


def settings(page: Page, summary: str) -> Locator:
    """The part of the settings of that name, opened."""
    part = page.locator("details", has=page.locator("summary", has_text=summary))
    part.locator("summary").click()
    return part


def test_a_conversation_is_streamed_kept_changed_and_asked_again(visitor: Visitor) -> None:
    page = visitor.page
    answer = send(page, "Say hello.")
    said = answer.locator(".text").inner_text()
    assert said
    for fact in ("first token after", "$0.0", "smollm2-135m-instruct-2024-11-01"):
        expect(answer).to_contain_text(fact)
    expect(page.get_by_role("status")).to_have_text(f"The model answered: {said}")
    page.get_by_label("Message", exact=True).fill("not sent yet")
    page.reload()
    expect(page.locator(".message.assistant .text")).to_have_text(said)
    expect(page.get_by_label("Message", exact=True)).to_have_value("not sent yet")
    expect(page.get_by_label("Most tokens")).to_have_value("24")
    page.get_by_role("button", name="Edit message 1").click()
    page.get_by_role("textbox", name="Message 1").fill("Say goodbye.")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Retry message 2").click()
    whole(page)
    expect(page.locator(".message .text").first).to_have_text("Say goodbye.")
    expect(page.locator(".message")).to_have_count(2)
    page.get_by_role("button", name="Remove message 2").click()
    expect(page.locator(".message")).to_have_count(1)


def test_an_example_is_asked_and_stopped_halfway(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_label("Most tokens").fill("3000")
    page.get_by_label("System prompt").fill("Count from one to a thousand.")
    page.get_by_role("button", name="Write a polite email").click()
    expect(page.locator(".message.assistant .text")).to_contain_text(re.compile(r"\w"), timeout=ANSWER_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".message.assistant p.hint")).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()


def test_a_function_is_called_and_its_result_is_sent_on(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_label("Most tokens").fill("80")
    tools = settings(page, "Tools")
    tools.get_by_role("button", name="Insert an example").click()
    tools.get_by_label("The model").select_option("must call one")
    answer = send(page, "How is the weather in Oslo?")
    calls = answer.locator("code").all_inner_texts()
    assert calls and all(call.startswith("get_weather(") for call in calls)
    for call in calls:
        assert json.loads(call.removeprefix("get_weather").strip("()")).keys() == {"city", "unit"}
    page.get_by_role("button", name="Send results").click()
    expect(page.get_by_role("alert").filter(has_text="Type what get_weather gives back")).to_be_visible()
    tools.get_by_label("The model").select_option("calls none")
    for result in page.get_by_label("Result of get_weather").all():
        result.fill('{"celsius": -3}')
    page.get_by_role("button", name="Send results").click()
    expect(page.locator(".message")).to_have_count(2 + len(calls) + 1)
    assert whole(page).locator(".text").inner_text()


def test_an_answer_keeps_to_a_schema(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_label("Most tokens").fill("300")
    part = settings(page, "Answer’s format")
    part.get_by_label("Format").select_option("JSON after a schema")
    part.get_by_label("Schema").fill('{"type": ')
    page.get_by_label("Message", exact=True).fill("A recipe for bread.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("This is not JSON")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("A recipe for bread.")
    page.once("dialog", lambda dialog: dialog.accept())
    part.get_by_role("button", name="Insert an example").click()
    page.get_by_role("button", name="Send", exact=True).click()
    said = json.loads(whole(page).locator(".text").inner_text())
    assert said.keys() == {"title", "minutes", "ingredients"}


def test_how_likely_tokens_were(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_label("Show how likely").check()
    answer = send(page, "Say hello.")
    answer.locator("summary").click()
    expect(answer.locator("tbody tr").first).to_contain_text("%")


def test_what_the_model_reads_and_its_tokens(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Message", exact=True).fill("What is <|im_end|>?")
    page.get_by_role("button", name="Prompt and tokens").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("of the 8,192 that the model reads")
    expect(dialog.locator("code").first).to_contain_text("system\nBe brief.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_functions_are_in_the_prompt_and_count_as_the_answer_counts_them(visitor: Visitor) -> None:
    page = visitor.page
    tools = settings(page, "Tools")
    tools.get_by_role("button", name="Insert an example").click()
    part = settings(page, "Answer’s format")
    part.get_by_label("Format").select_option("JSON after a schema")
    part.get_by_role("button", name="Insert an example").click()
    page.get_by_label("Message", exact=True).fill("How is the weather in Oslo?")
    counts = []
    for choice in ("may call them", "calls none"):
        tools.get_by_label("The model").select_option(choice)
        page.get_by_role("button", name="Prompt and tokens").click()
        dialog = page.get_by_role("dialog")
        told = "The weather in a city right now." in dialog.locator("#prompt-text").inner_text()
        counts.append((told, int(dialog.locator("#prompt-count").inner_text().split()[0])))
        page.keyboard.press("Escape")
    assert [told for told, _ in counts] == [True, False] and counts[0][1] > counts[1][1] + 20
    answer = send(page, "How is the weather in Oslo?")
    expect(answer).to_contain_text(f"{counts[1][1]} tokens in")


@pytest.mark.parametrize("language", ["curl", "Python", "Node"])
def test_the_code_that_is_shown_runs(visitor: Visitor, server: Server, language: str) -> None:
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("System prompt").fill('Don\'t say "no".\n$HOME `x` \\ ü 😀')
    page.get_by_label("Most tokens").fill("12")
    page.get_by_label("Stop at").fill("xyzzy")
    settings(page, "Tools").get_by_role("button", name="Insert an example").click()
    page.get_by_label("Message", exact=True).fill("What isn't it?")
    page.get_by_role("button", name="View code").click()
    page.get_by_role("dialog").get_by_label(language).check()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text: str = page.evaluate("navigator.clipboard.readText()")
    assert server.root in text and server.key not in text
    done = subprocess.run(command(language, text), capture_output=True, text=True, timeout=120,
                          env=environment(server), cwd=CLIENTS / "openai-node-7")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and '"error"' not in done.stdout


def command(language: str, text: str) -> list[str]:
    match language:
        case "curl":
            return ["bash", "-euo", "pipefail", "-c", text]
        case "Python":
            return [*installed("openai-3"), "-c", text]
        case _:
            return [*installed("openai-node-7"), "--input-type=module", "-e", text]


def test_a_refusal_is_shown_and_nothing_is_lost(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        page.goto("/playground")
        page.get_by_label("Message", exact=True).fill("Say hello. " * 9000)
        page.get_by_role("button", name="Send", exact=True).click()
        alert = page.locator("#problem")
        expect(alert).to_contain_text("code context_length_exceeded", timeout=ANSWER_MS)
        expect(alert).to_contain_text("parameter messages")
        expect(alert).to_contain_text("request req_")
        expect(page.locator(".message.user .text")).to_contain_text("Say hello. Say hello.")
        expect(page.locator(".message")).to_have_count(1)
        visitor.problems.clear()  # the browser itself notes that a request was refused


def test_what_is_paid_by_the_hour_costs_nothing_by_the_token(browser: Browser, server: Server) -> None:
    own = {"instance": "“nights”", "hour": "1500000000"}
    price = {"input": "2000000", "cached": "1000000", "output": "2000000"}
    usage = {"prompt_tokens": 500, "completion_tokens": 500}
    asked = """async ([price, usage]) => {
      const { cost, ofTokens } = await import("/console/money.js");
      return cost(price, ofTokens(price, usage));
    }"""
    with signed_in(browser, server, "member") as visitor:
        page = visitor.page
        page.goto("/playground")
        cost = partial(page.evaluate, asked)
        assert cost([price, usage]) == "$0.002"
        assert cost([price | own, usage]) == "paid by the hour of “nights”"
        either = price | own | {"spills": ""}
        assert cost([either, usage]) == "paid by the hour of “nights”, or $0.002 if that had no place"
        page.eval_on_selector("#model option:checked", "(one, own) => Object.assign(one.dataset, own)", own)
        page.get_by_label("Most tokens").fill("8")
        send(page, "Say hello.")
        expect(page.locator("#meaning")).to_contain_text("on your own “nights”, for $1.50 an hour")
        expect(page.locator(".message.assistant")).to_contain_text("paid by the hour of “nights”")


def test_the_page_is_sound_on_a_desk_and_on_a_phone_by_night(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "owner", color_scheme="dark") as visitor:
        page = visitor.page
        page.goto("/playground")
        page.get_by_label("Most tokens").fill("8")
        send(page, "Say hello.")
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            assert findings(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        page.get_by_role("button", name="View code").click()
        assert findings(page) == []


def test_a_reader_sees_why_there_is_nothing_to_type(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "reader") as visitor:
        page = visitor.page
        page.goto("/playground")
        expect(page.get_by_text("Your role is reader")).to_be_visible()
        expect(page.get_by_label("Message", exact=True)).to_have_count(0)
        assert findings(page) == []
