"""How a comparison of two models is shown: one table of figures, then the answers that differ most."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from antiphon.cli.comparison import Answer, Compared, Side, Spread, Summary
from antiphon.cli.output import plain

PIPE_WIDTH = 160
CHARACTERS = 600
LINES = 12
"""How much is shown of an answer."""
LEAD = 80
"""Characters shown of what two answers begin with alike, before they differ."""
PROMPT_CHARACTERS = 200
FAILURES = 5
"""Different failures shown of a side."""
FAILURE_CHARACTERS = 200
NONE = "-"


def show(summary: Summary, differences: Iterable[Compared]) -> None:
    """Print the figures, what failed, and these answers side by side."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(_figures(summary))
    for line in [*_likeness(summary), *_remarks("A", summary.a), *_remarks("B", summary.b)]:
        # Text, here and below, since a model's words may look like rich's markup.
        console.print(Text(plain(line)))
    for one in differences:
        console.print(_difference(one))


def _figures(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("A", "B"):
        table.add_column(heading, overflow="fold")
    columns = (_rows(side, summary.prompts) for side in (summary.a, summary.b))
    for (label, left), (_, right) in zip(*columns, strict=True):
        table.add_row(label, Text(plain(left)), Text(plain(right)))
    return table


def _rows(side: Side, prompts: int) -> Iterator[tuple[str, str]]:
    """The label and the value of each figure."""
    reasons = ", ".join(f"{reason} {number}" for reason, number in side.finish_reasons.items())
    cost, thousand = (f"${value}" if value else NONE for value in (side.cost, side.cost_of_1000_requests))
    tokens = side.median_answer_tokens
    yield "Model", side.model
    yield "Snapshot", side.snapshot
    yield "Answered", f"{side.answered} of {prompts}"
    yield "Failed", str(side.failed)
    yield "Ended by", reasons or NONE
    yield "Cut by length", percent(side.cut_by_length)
    yield "Tokens of an answer, median", NONE if tokens is None else f"{tokens:g}"
    yield "First token, p50 and p95", _seconds(side.first_token_seconds)
    yield "Whole answer, p50 and p95", _seconds(side.seconds)
    yield "Tokens a second", NONE if side.tokens_per_second is None else f"{side.tokens_per_second:.1f}"
    yield "Cost", cost
    yield "Cost of 1,000 requests", thousand


def percent(share: float | None) -> str:
    """A share in percent. Only what is whole or nothing is shown as 100 or 0."""
    if share is None:
        return NONE
    return f"{min(max(share * 100, 0.1), 99.9):.1f} %" if 0 < share < 1 else f"{share * 100:.0f} %"


def _seconds(spread: Spread | None) -> str:
    return NONE if spread is None else f"{spread.p50:.3f} s, {spread.p95:.3f} s"


def _likeness(summary: Summary) -> Iterator[str]:
    yield ""
    yield f"{summary.compared} of {summary.prompts} prompts were answered by both."
    if summary.mean_similarity is not None:
        yield f"Identical answers: {summary.identical}, {percent(summary.identical_share)}."
        yield f"Similarity, on average: {summary.mean_similarity:.3f} ({summary.similarity_measure})."


def _remarks(name: str, side: Side) -> Iterator[str]:
    """Why there are no costs, and what failed."""
    if side.cost_unknown:
        yield f"{name} has no costs: {side.cost_unknown}; --home names the server's data folder."
    failures = list(side.failures.items())
    for error, number in failures[:FAILURES]:
        yield f"{name} failed, {number} ×: {_short(' '.join(error.split()), FAILURE_CHARACTERS)}"
    if left := sum(number for _, number in failures[FAILURES:]):
        yield f"{name} failed, {left} ×: otherwise."


def _difference(one: Compared) -> Table:
    """Two answers beside each other, from shortly before they differ."""
    assert isinstance(one.a, Answer) and isinstance(one.b, Answer), "only answers differ"
    title = Text(plain(f"\n{one.prompt.id}, similarity {one.similarity:.3f}: {asked(one)}"))
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    for heading in ("A", "B"):
        table.add_column(heading, ratio=1, overflow="fold")
    start = len(os.path.commonprefix([one.a.said, one.b.said])) - LEAD
    table.add_row(*(Text(plain(clipped(answer.said, start))) for answer in (one.a, one.b)))
    return table


def asked(one: Compared) -> str:
    """The last message of a prompt in one short line."""
    content = one.prompt.body["messages"][-1].get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    words = " ".join(str(part.get("text") or part.get("type") or "") for part in parts).split()
    return _short(" ".join(words), PROMPT_CHARACTERS)


def clipped(text: str, start: int) -> str:
    """At most `CHARACTERS` and `LINES` of a text from `start` on; what is left out is marked."""
    text = f"…{text[start:]}" if start > 0 else text
    lines = text.splitlines()
    text = "\n".join([*lines[:LINES], "…"]) if len(lines) > LINES else text
    return _short(text, CHARACTERS)


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
