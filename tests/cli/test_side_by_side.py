"""What is printed of a comparison."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from antiphon.cli import side_by_side
from antiphon.cli.comparison import (
    Answer,
    Compared,
    Failure,
    Named,
    Outcome,
    Pair,
    compared,
    most_different,
    summary,
)
from antiphon.cli.prompts import Prompt
from antiphon.cli.side_by_side import CHARACTERS, LEAD, LINES, asked, clipped, percent, show
from antiphon.values import Price

PRICE = Price(since=date(2023, 3, 1), input=2_000_000, output=2_000_000)
A = Named(model="[bold]a[/bold]", snapshot="a-2024-01-01", price=PRICE)
B = Named(model="b", snapshot="b-2024-01-01", price=None)


def answer(text: str) -> Answer:
    return Answer(
        text=text,
        finish_reason="stop",
        first_token_seconds=0.25,
        seconds=0.5,
        prompt_tokens=10,
        cached_tokens=0,
        completion_tokens=5,
    )


def prompt(content: Any) -> Prompt:
    return Prompt("line 7", {"messages": [{"role": "system", "content": "Be kind."}, {"content": content}]})


def shown(capsys: pytest.CaptureFixture[str], *pairs: tuple[Outcome, Outcome], number: int = 5) -> str:
    found = compared(Pair(prompt("Why?"), *both) for both in pairs)
    show(summary(found, A, B, prompts=len(pairs)), most_different(found, number))
    return capsys.readouterr().out


def row(text: str, label: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.startswith(label)]
    return line.removeprefix(label).split()


def test_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, (answer("Hello"), answer("Hello")), (answer("One"), answer("Two")))
    assert row(text, "Model") == ["[bold]a[/bold]", "b"], "names are no markup"
    assert row(text, "Snapshot") == ["a-2024-01-01", "b-2024-01-01"]
    assert row(text, "Answered") == ["2", "of", "2"] * 2
    assert row(text, "Ended by") == ["stop", "2"] * 2
    assert row(text, "Cut by length") == ["0", "%"] * 2
    assert row(text, "First token, p50 and p95") == ["0.250", "s,", "0.250", "s"] * 2
    assert row(text, "Whole answer, p50 and p95") == ["0.500", "s,", "0.500", "s"] * 2
    assert row(text, "Tokens of an answer, median") == ["5"] * 2
    assert row(text, "Tokens a second") == ["10.0"] * 2
    assert row(text, "Cost  ") == ["$0.00006", "-"]
    assert row(text, "Cost of 1,000 requests") == ["$0.03", "-"]
    assert "Identical answers: 1, 50.0 %." in text
    assert "Similarity, on average: 0.500 (difflib's ratio over words" in text
    assert "B has no costs: no snapshot 'b-2024-01-01' is in the catalogue here" in text
    assert "line 7, similarity 0.000: Why?" in text and text.count("similarity 0.000") == 1


def test_what_failed_is_told_by_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    failures: list[Outcome] = [Failure(f"Reason\n{number}\x1b[2J") for number in range(7)]
    text = shown(capsys, *((answer("Hi"), failure) for failure in [failures[0], *failures]))
    assert row(text, "Failed") == ["0", "8"]
    assert "B failed, 2 ×: Reason 0[2J" in text and "\x1b" not in text
    assert "B failed, 2 ×: otherwise." in text
    assert "Identical" not in text and "0 of 8 prompts" in text


def test_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys)
    assert row(text, "First token, p50 and p95") == row(text, "Tokens a second") == ["-", "-"]


def test_no_answer_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, (answer("\x1b]0;owned\x07 [red]one"), answer("[/red] two")))
    assert "\x1b]" not in text and "[red]one" in text and "[/red] two" in text


def test_as_many_differences_as_wished(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [(answer("One"), answer("Two"))] * 4
    assert shown(capsys, *pairs, number=3).count("line 7") == 3
    assert shown(capsys, *pairs, number=0).count("line 7") == 0


def test_answers_are_shown_from_where_they_differ(capsys: pytest.CaptureFixture[str]) -> None:
    start = "and so on " * 500
    text = shown(capsys, (answer(start + "left"), answer(start + "right")))
    assert "left" in text and "right" in text and text.count("and so on") < 4 * LEAD // len("and so on ")


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0 %"), (1.0, "100 %"), (0.5, "50.0 %"), (0.99999, "99.9 %"), (0.0001, "0.1 %")],
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("text", "start", "found"),
    [
        ("short", -80, "short"),
        ("0123456789", 4, "…456789"),
        ("x" * (CHARACTERS + 1), 0, "x" * CHARACTERS + "…"),
        ("\n".join("x" * (LINES + 1)), 0, "\n".join("x" * LINES) + "\n…"),
        ("x", 40, "…"),
    ],
)
def test_clipped(text: str, start: int, found: str) -> None:
    assert clipped(text, start) == found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Why\n is it?", "Why is it?"),
        ("x" * 300, "x" * side_by_side.PROMPT_CHARACTERS + "…"),
        (None, ""),
        (
            [{"type": "text", "text": "Hear:"}, {"type": "input_audio", "input_audio": {}}],
            "Hear: input_audio",
        ),
    ],
)
def test_what_was_asked_is_one_line(content: Any, found: str) -> None:
    one = Compared(prompt=prompt(content), identical=False, similarity=0.0, a=None, b=None)
    assert asked(one) == found
