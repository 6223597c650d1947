"""Dollars in models.toml become whole nano-dollars: exactly, or not at all."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.catalogue.catalogue import load
from antiphon.catalogue.prices import dollars, nano, parse, read, toml
from antiphon.errors import ConfigurationError
from antiphon.values import Price

DAY, LATER = date(2023, 3, 1), date(2026, 11, 1)
CHAT, SPEECH = "smollm2-135m-instruct-2024-11-01", "whisper-base-2022-09-21"


def test_the_shipped_prices(tmp_path: Path) -> None:
    entries = load(tmp_path).entries
    assert entries[CHAT].prices == (
        Price(since=DAY, input=2_000_000, cached_input=2_000_000, output=2_000_000),
    )
    assert entries[SPEECH].prices == (Price(since=DAY, second=100_000),)
    assert all(entry.prices for entry in entries.values())


def test_the_operators_prices_replace_those_that_are_shipped(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(
        f'[snapshots."{SPEECH}"]\nprices = [{{ since = 2026-11-01, second = "0.0002" }}]\n'
    )
    assert load(tmp_path).entries[SPEECH].prices == (Price(since=LATER, second=200_000),)


def test_the_earliest_comes_first_and_of_one_day_the_later_line_holds() -> None:
    found = read(
        [
            {"since": LATER, "input": "3"},
            {"since": DAY, "input": "1", "cached_input": "0.5"},
            {"since": LATER, "input": "2"},
        ]
    )
    assert [(price.since, price.input, price.cached_input) for price in found] == [
        (DAY, 10**9, 5 * 10**8),
        (LATER, 2 * 10**9, 2 * 10**9),
    ]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"since": DAY, "input": 0.002}, "$[0].input"),
        ({"since": DAY, "output": "0.0000000001"}, "$[0].output"),
        ({"since": DAY, "second": "-1"}, "$[0].second"),
        ({"since": DAY, "second": "1e3"}, "$[0].second"),
        ({"since": DAY, "cached_input": "100000"}, "$[0].cached_input"),
        ({"since": DAY, "input": "1\n"}, "$[0].input"),
        ({"since": "soon"}, "$[0].since"),
        ({"input": "1"}, "since"),
        ({"since": DAY, "minute": "0.006"}, "minute"),
        ("0.002", "$[0]"),
    ],
)
def test_what_is_no_price_is_named(tmp_path: Path, line: Any, named: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        read([line])
    assert named in str(refusal.value)


def test_a_wrong_price_in_the_file_names_its_model(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(f'[snapshots."{CHAT}"]\nprices = [{{ input = 1 }}]\n')
    with pytest.raises(ConfigurationError, match=f"models.toml, line 2: .*{CHAT}"):
        load(tmp_path)


@given(st.integers(0, 10**14 - 1))
def test_dollars_and_back_lose_nothing(amount: int) -> None:
    assert nano(dollars(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (2_000_000, "0.002"), (10**10, "10"), (1, "0.000000001")]
)
def test_dollars_are_short(amount: int, text: str) -> None:
    assert dollars(amount) == text


@pytest.mark.parametrize(
    "price",
    [
        Price(since=DAY),
        Price(since=DAY, input=5, cached_input=5, output=7),
        Price(since=DAY, input=5, cached_input=0, second=100_000),
    ],
)
def test_a_price_that_was_written_is_read_back(price: Price) -> None:
    written = tomllib.loads(toml("a.b-1", price))
    assert read(written["snapshots"]["a.b-1"]["prices"]) == (price,)


def test_a_price_of_texts() -> None:
    assert parse({"since": "2026-11-01", "second": "0.5"}) == Price(since=LATER, second=5 * 10**8)
    with pytest.raises(ConfigurationError, match="second"):
        parse({"since": "2026-11-01", "second": "much"})
