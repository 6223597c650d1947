"""What this process may still spend of each scope, of what it leased from the database.

Everything here is plain arithmetic without `await`: a reservation is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

Scope = tuple[str, str]
"""Whose money, and in which month: an organization's or a project's id with `YYYY-MM`, or
`credit/<organization>` with nothing, for what was paid in advance."""


class Allowance(msgspec.Struct):
    """One scope's share, in nano-dollars: `granted` by the database, of which open requests hold `held`.

    `unposted` is what settled requests cost that the database has not heard of yet.
    """

    granted: int = 0
    held: int = 0
    unposted: int = 0

    @property
    def free(self) -> int:
        return self.granted - self.held - self.unposted


class Allowances:
    """The shares of one epoch. Amounts are never negative."""

    def __init__(self) -> None:
        self._shares: dict[Scope, Allowance] = {}

    def __iter__(self) -> Iterator[Scope]:
        return iter(list(self._shares))

    def free(self, scope: Scope) -> int:
        share = self._shares.get(scope)
        return share.free if share else 0

    def take(self, scopes: Sequence[Scope], amount: int) -> Scope | None:
        """Hold `amount` of every scope, or of none: the answer is the first one that has too little."""
        for scope in scopes:
            if self.free(scope) < amount:
                return scope
        for scope in scopes:
            self._share(scope).held += amount
        return None

    def give_back(self, scopes: Sequence[Scope], amount: int) -> None:
        """What was taken costs nothing."""
        self.charge(scopes, amount, 0)

    def charge(self, scopes: Sequence[Scope], amount: int, cost: int) -> None:
        """What was taken cost `cost`, at most `amount`: the rest is free again."""
        for scope in scopes:
            share = self._share(scope)
            share.held -= amount
            share.unposted += cost

    def posted(self, scopes: Sequence[Scope], cost: int) -> None:
        """The database has charged `cost` and lowered what it had granted."""
        for scope in scopes:
            share = self._share(scope)
            share.unposted -= cost
            share.granted -= cost

    def grant(self, scope: Scope, amount: int) -> None:
        """The database has leased so much more to this process."""
        self._share(scope).granted += amount

    def withdraw(self, scope: Scope) -> int:
        """Take out what is free, to be returned to the database; a share of nothing is forgotten."""
        free = max(0, self.free(scope))
        share = self._share(scope)
        share.granted -= free
        if not share.granted:
            del self._shares[scope]
        return free

    def correct(self, granted: Mapping[Scope, int]) -> None:
        """What the database has really granted, of every scope: asked for when an answer of its was lost."""
        for scope in sorted({*self._shares, *granted}):
            self._share(scope).granted = granted.get(scope, 0)

    def _share(self, scope: Scope) -> Allowance:
        return self._shares.setdefault(scope, Allowance())
