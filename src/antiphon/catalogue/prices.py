"""Prices as models.toml writes them: dollars as decimal strings, which become whole nano-dollars exactly."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from antiphon.errors import ConfigurationError
from antiphon.values import Price

NANO = 10**9
Dollars = Annotated[str, Meta(pattern=r"\A[0-9]{1,5}(\.[0-9]{1,9})?\Z")]
"""For instance "0.002"; nano-dollars are the smallest unit, and what a day can cost fits the ledger."""


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price from a day on: `input`, `cached_input`, `output` for 1,000 tokens, `second` for one of sound.

    What is not written is free; cached input costs what `input` does.
    """

    since: date
    input: Dollars = "0"
    cached_input: Dollars | None = None
    output: Dollars = "0"
    second: Dollars = "0"


def parse(line: dict[str, str]) -> Price:
    """A price of which all is text. Raises `ConfigurationError`, naming the field."""
    try:
        return _price(msgspec.convert(line, Line))
    except msgspec.ValidationError as problem:
        raise ConfigurationError(
            f"That is no price: {problem}",
            fix="write dollars as 0.002, with at most nine digits behind the point, and days as 2026-11-01",
        ) from None


def read(lines: Any) -> tuple[Price, ...]:
    """The prices of a snapshot, the earliest first; of two for the same day the later line is in force.

    Raises `msgspec.ValidationError`, which names the field.
    """
    found = msgspec.convert(lines, list[Line])
    return tuple(sorted({line.since: _price(line) for line in found}.values(), key=lambda price: price.since))


def _price(line: Line) -> Price:
    return Price(
        since=line.since,
        input=nano(line.input),
        cached_input=nano(line.input if line.cached_input is None else line.cached_input),
        output=nano(line.output),
        second=nano(line.second),
    )


def nano(text: Dollars) -> int:
    """Dollars as nano-dollars."""
    return int(Decimal(text) * NANO)


def dollars(amount: int) -> str:
    """Nano-dollars as the shortest text that `nano` reads back."""
    whole, rest = divmod(amount, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def toml(snapshot: str, price: Price) -> str:
    """A price as a table of models.toml, which may be added to the end of the file."""
    amounts = {"input": price.input, "output": price.output, "second": price.second}
    written = {name: amount for name, amount in amounts.items() if amount}
    if price.cached_input != price.input:
        written["cached_input"] = price.cached_input
    lines = [f'{name} = "{dollars(amount)}"\n' for name, amount in written.items()]
    return f'[[snapshots."{snapshot}".prices]]\nsince = {price.since.isoformat()}\n{"".join(lines)}'
