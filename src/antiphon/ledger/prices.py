"""What usage costs. Whole nano-dollars; nothing here knows where a price or a count came from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date

import msgspec

from antiphon.values import Price, Usage

_PER = 1000
"""Token prices are for so many tokens."""


class Cost(msgspec.Struct, frozen=True):
    """The parts of a request's cost, in nano-dollars; `input` holds cached tokens as well."""

    input: int = 0
    output: int = 0
    audio: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output + self.audio


def effective(prices: Iterable[Price], day: date) -> Price:
    """The price in force on `day`, of `prices` in any order; before the first one everything is free."""
    begun = [price for price in prices if price.since <= day]
    return max(begun, key=lambda price: price.since, default=Price(since=date.min))


def cost(price: Price, usage: Usage) -> Cost:
    """What `usage` costs: each part rounded down, so fractions are ours; a begun second counts whole.

    `usage.prompt_tokens` includes the cached ones.
    """
    fresh = usage.prompt_tokens - usage.cached_tokens
    return Cost(
        (fresh * price.input + usage.cached_tokens * price.cached_input) // _PER,
        usage.completion_tokens * price.output // _PER,
        whole_seconds(usage) * price.second,
    )


def bound(price: Price, usage: Usage) -> int:
    """The most that a request of at most `usage` can cost, wherever its prompt comes from: rounded up."""
    dearer = max(price.input, price.cached_input)
    return (
        -(-usage.prompt_tokens * dearer // _PER)
        - (-usage.completion_tokens * price.output // _PER)
        + whole_seconds(usage) * price.second
    )


def capped(cost: Cost, most: int) -> Cost:
    """`cost`, but never more than `most` in all: a request is not charged beyond what it reserved."""
    input = min(cost.input, most)
    output = min(cost.output, most - input)
    return Cost(input, output, min(cost.audio, most - input - output))


def whole_seconds(usage: Usage) -> int:
    """Seconds of sound as they are billed."""
    return math.ceil(usage.seconds)
