"""Which days and groups a report is asked for, from the query strings that pages link to."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from antiphon.api.exchange import Exchange
from antiphon.console.reports import Asked, Report, asked, ranges
from antiphon.errors import InvalidRequest
from antiphon.ledger.usage import UsageResult

NOW = 1_800_000_000
"""2027-01-15, 08:00."""
TODAY = date(2027, 1, 15)


def ask(query: str) -> Asked:
    exchange = cast(Exchange, SimpleNamespace(query=query.encode()))
    return asked(exchange, NOW, ("model", "key"))


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("", date(2026, 12, 17), TODAY),
        ("range=7", date(2027, 1, 9), TODAY),
        ("range=month", date(2027, 1, 1), TODAY),
        ("range=custom&from=2026-11-01&to=2026-11-01", date(2026, 11, 1), date(2026, 11, 1)),
    ],
)
def test_days_are_whole_and_today_is_among_them(query: str, first: date, last: date) -> None:
    found = ask(query)
    assert (found.first, found.last) == (first, last)
    wanted = found.query("org-1")
    assert (wanted.start % 86_400, wanted.end - wanted.start) == (0, found.days * 86_400)


@pytest.mark.parametrize(
    "query",
    [
        "range=8",
        "range=custom",
        "range=custom&from=2026-11-02&to=2026-11-01",
        "range=custom&from=2024-01-01&to=2026-01-01",
        "range=custom&from=0001-01-01&to=0001-01-02",
        "range=custom&from=yesterday&to=2026-01-01",
        "group=item",
        "by=minute",
        "unknown=1",
    ],
)
def test_what_cannot_be_shown_is_said(query: str) -> None:
    with pytest.raises(InvalidRequest):
        ask(query)


def test_hours_are_for_a_week_at_most() -> None:
    assert (ask("range=7&by=hour").by, ask("range=30&by=hour").by) == ("hour", "day")
    assert ask("range=7&by=hour").query("org-1").width == "1h"
    assert ask("range=7&by=hour").when(NOW) == "2027-01-15 08:00" and ask("").when(NOW) == "2027-01-15"


def test_links_keep_what_they_do_not_change() -> None:
    custom = ask("range=custom&from=2026-11-01&to=2026-11-02&group=key")
    assert custom.link(group="") == "range=custom&by=day&from=2026-11-01&to=2026-11-02"
    for name in ranges():
        assert ask(custom.link(range=name)).range == name


def test_groups_are_called_by_their_names() -> None:
    counts: dict[str, Any] = dict.fromkeys(
        ("requests", "input_tokens", "cached_tokens", "output_tokens", "seconds"), 0
    )
    report = Report([], {"key_1": "bot"}, "api_key_id")
    told = [report.group(UsageResult(api_key_id=id, **counts)) for id in ("key_1", "key_2", None)]
    assert told == ["bot", "key_2", "dedicated instances, of no key"]
    assert Report([], {}, "").group(UsageResult(**counts)) == ""
