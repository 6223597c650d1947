"""What a proof of the books adds up while it reads them, and what it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from antiphon.ledger import accounts, rollups
from antiphon.ledger.allowances import Scope
from antiphon.ledger.prices import Cost
from antiphon.ledger.requests import Movement, Request


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it must be: a fixed text, and whose it is.

    `found` and `expected` are what is written and what it should be, where that can be said.
    """

    text: str
    of: str
    found: int | str | None = None
    expected: int | str | None = None

    def __str__(self) -> str:
        if self.found == self.expected:
            return f"{self.of}: {self.text}"
        return f"{self.of}: {self.text}: {self.found} instead of {self.expected}"


class Tally:
    """Sums over what was read so far: as many numbers as there are tenants and months."""

    def __init__(self) -> None:
        self.balances: Counter[str] = Counter()
        """Of each account, by the entries."""
        self.charged: Counter[Scope] = Counter()
        """Of each scope and period, by requests and for time."""
        self.timed: Counter[Scope] = Counter()
        """For time alone: what no limit holds back."""
        self.usage: Counter[str] = Counter()
        """Of all settled requests together, as in a rollup."""

    def enter(self, movement: Movement) -> None:
        """Count an entry."""
        self.balances.update(accounts.balances([movement]))

    def charge(self, scopes: Iterable[Scope], cost: int) -> None:
        """Count a charge for time."""
        for scope in scopes:
            self.charged[scope] += cost
            self.timed[scope] += cost

    def settle(self, request: Request, cost: Cost) -> None:
        """Count a settled request."""
        for scope in request.scopes:
            self.charged[scope] += cost.total
        self.usage.update(rollups.counts(request, cost))
