"""How moments, amounts and numbers are written on pages, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from antiphon.money import decimals, money, price


def moment(seconds: int | float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def day(seconds: int | float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def places(amounts: Iterable[int]) -> int:
    """How many decimals a column of these amounts is written with: those that its smallest one needs."""
    return max(map(decimals, amounts), default=2)


def number(value: int | float) -> str:
    return f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """How many of what: `1 request`, `1,200 requests`; `many` where that is more than an s."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    one.__name__: one for one in (moment, day, money, price, places, number, counted)
}
"""By the names that templates know them by."""
