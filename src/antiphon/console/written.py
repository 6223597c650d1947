"""How moments, amounts and numbers are written on pages, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from antiphon.catalogue.prices import dollars


def moment(seconds: int | float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def day(seconds: int | float | None) -> str:
    return "never" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def money(nanos: int) -> str:
    """Nano-dollars in dollars, exactly: `$0.0015`, and `-$2` for what is owed."""
    return f"-${dollars(-nanos)}" if nanos < 0 else f"${dollars(nanos)}"


def places(amounts: Iterable[int]) -> int:
    """How many decimals the most exact of these amounts is written with."""
    return max((len(money(one).partition(".")[2]) for one in amounts), default=0)


def rest(nanos: int, places: int) -> str:
    """What `money` lacks beside amounts with so many decimals: in its place the points of a column meet."""
    _, point, decimals = money(nanos).partition(".")
    return ("" if point else ".") + "0" * (places - len(decimals)) if places else ""


def number(value: int | float) -> str:
    return f"{value:,}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    one.__name__: one for one in (moment, day, money, places, rest, number)
}
"""By the names that templates know them by."""
