"""Amounts of money as people read them; bills and files have them exactly."""

from __future__ import annotations

from decimal import Decimal


def decimals(nanos: int) -> int:
    """With how many decimals an amount is written: two, or as many as its first two digits take."""
    amount = abs(nanos)
    if not amount:
        return 2
    written = f"{_dollars(amount):.{max(2, min(9, 11 - len(str(amount))))}f}"
    return max(2, len(written.rstrip("0").partition(".")[2]))


def money(nanos: int, places: int | None = None) -> str:
    """Nano-dollars in dollars, rounded: `$1,234.50`, `$0.0015`, and `-$2.00` for what is owed.

    With `places` decimals, where amounts stand in a column; otherwise with those that it needs.
    """
    shown = decimals(nanos) if places is None else places
    return f"{'-' if nanos < 0 else ''}${_dollars(abs(nanos)):,.{shown}f}"


def price(nanos: int) -> str:
    """A price in dollars, exactly: `$0.002`, and `$1.50`."""
    exact = len(f"{_dollars(abs(nanos)):.9f}".rstrip("0").partition(".")[2])
    return money(nanos, max(2, exact))


def _dollars(nanos: int) -> Decimal:
    return Decimal(nanos).scaleb(-9)
