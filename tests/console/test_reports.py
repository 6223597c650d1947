"""Which days and groups a report is asked for, from the query strings that pages link to."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from antiphon.api.exchange import Exchange
from antiphon.console.reports import NOBODYS_LOOK, Asked, Report, asked, places, ranges
from antiphon.errors import InvalidRequest
from antiphon.ledger.buckets import Bucket
from antiphon.ledger.usage import UsageResult

NOW = 1_800_000_000
"""2027-01-15, 08:00."""
TODAY = date(2027, 1, 15)
DAY = 86_400
COUNTS: dict[str, Any] = dict.fromkeys(
    ("requests", "input_tokens", "cached_tokens", "output_tokens", "seconds"), 0
)


def ask(query: str) -> Asked:
    exchange = cast(Exchange, SimpleNamespace(query=query.encode()))
    return asked(exchange, NOW, ("model", "key"))


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("", date(2026, 12, 17), TODAY),
        ("range=1", TODAY, TODAY),
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


def test_a_single_day_is_shown_by_the_hour() -> None:
    for query in ("range=1", "range=1&by=day", "range=custom&from=2027-01-02&to=2027-01-02"):
        day = ask(query)
        assert day.by == "hour" and not day.hourly
        assert "by=day" in day.link(range="7"), "and no longer time is, for that"
    assert ask("range=1").span == "on 2027-01-15"
    assert ask("range=7").hourly and ask("range=7").span == "from 2027-01-09 to 2027-01-15"


def report(days: int, first: int) -> Report[UsageResult]:
    """So many days up to today, with something from the one of this number on."""
    some = [UsageResult(**COUNTS)]
    begin = NOW - NOW % DAY - (days - 1) * DAY
    return Report(
        [Bucket(begin + n * DAY, begin + (n + 1) * DAY, some if n >= first else []) for n in range(days)],
        {},
        "",
    )


def test_a_plot_begins_with_what_there_is_and_never_is_one_bar() -> None:
    thirty = ask("range=30")
    assert len(places(thirty, report(30, 0))) == 30
    assert places(thirty, report(30, 12))[0] == "2026-12-29"
    assert len(places(thirty, report(30, 29))) == 7 and places(thirty, report(30, 29))[-1] == "2027-01-15"
    assert len(places(thirty, report(3, 2))) == 3


def test_links_keep_what_they_do_not_change() -> None:
    custom = ask("range=custom&from=2026-11-01&to=2026-11-02&group=key")
    assert custom.link(group="") == "range=custom&by=day&from=2026-11-01&to=2026-11-02"
    for name in ranges():
        assert ask(custom.link(range=name)).range == name


def test_groups_are_called_by_their_names() -> None:
    report = Report([], {"key_1": "bot"}, "api_key_id")
    told = [report.group(UsageResult(api_key_id=id, **COUNTS)) for id in ("key_1", "key_2", None)]
    assert told == ["bot", "key_2", "dedicated instances, of no key"]
    assert Report([], {}, "").group(UsageResult(**COUNTS)) == ""


def test_a_group_looks_the_same_whatever_is_shown_with_it() -> None:
    order = [f"key_{number}" for number in range(10)]
    looks = Report([], {"key_3": "bot"}, "api_key_id", order).looks
    assert (looks["key_0"], looks["bot"], looks["key_9"]) == (0, 3, 10)
    assert looks["dedicated instances, of no key"] == NOBODYS_LOOK
    assert len(set(looks.values())) == 11
