"""Allowances: all scopes or none, and never more than was granted."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.ledger.allowances import Allowances, Scope

ORGANIZATION: Scope = ("org-a", "2026-11")
PROJECT: Scope = ("proj_a", "2026-11")
CREDIT: Scope = ("credit/org-a", "")
BOTH = (ORGANIZATION, PROJECT)


def granted(**amounts: int) -> Allowances:
    allowances = Allowances()
    for name, amount in amounts.items():
        allowances.grant({"organization": ORGANIZATION, "project": PROJECT}[name], amount)
    return allowances


def test_nothing_is_granted_at_first() -> None:
    allowances = Allowances()
    assert allowances.take(BOTH, 1) == ORGANIZATION
    assert allowances.take(BOTH, 0) is None, "what costs nothing needs nothing"


def test_all_scopes_or_none() -> None:
    allowances = granted(organization=10, project=4)
    assert allowances.take(BOTH, 5) == PROJECT
    assert allowances.free(ORGANIZATION) == 10
    assert allowances.take(BOTH, 4) is None
    assert (allowances.free(ORGANIZATION), allowances.free(PROJECT)) == (6, 0)


def test_what_a_request_did_not_cost_is_free_again() -> None:
    allowances = granted(organization=10)
    assert allowances.take((ORGANIZATION,), 10) is None
    allowances.charge((ORGANIZATION,), 10, 3)
    assert allowances.free(ORGANIZATION) == 7
    allowances.posted((ORGANIZATION,), 3)
    assert allowances.free(ORGANIZATION) == 7, "posting moves the cost from here into the database"
    assert allowances.withdraw(ORGANIZATION) == 7
    assert list(allowances) == []


def test_what_was_taken_in_vain_is_free_again() -> None:
    allowances = granted(organization=10)
    allowances.take((ORGANIZATION,), 10)
    allowances.give_back((ORGANIZATION,), 10)
    assert allowances.free(ORGANIZATION) == 10


def test_what_is_held_cannot_be_withdrawn() -> None:
    allowances = granted(organization=10)
    allowances.take((ORGANIZATION,), 6)
    assert allowances.withdraw(ORGANIZATION) == 4
    assert list(allowances) == [ORGANIZATION]
    assert allowances.withdraw(ORGANIZATION) == 0
    assert allowances.withdraw(PROJECT) == 0


def test_the_database_is_right() -> None:
    allowances = granted(organization=10, project=10)
    allowances.take(BOTH, 2)
    allowances.correct({ORGANIZATION: 5, CREDIT: 3})
    assert [allowances.free(scope) for scope in (ORGANIZATION, PROJECT, CREDIT)] == [3, -2, 3]
    assert allowances.withdraw(PROJECT) == 0, "there is nothing to give back of what is not ours"


class Machine(RuleBasedStateMachine):
    """One scope under a limit: what was leased and what was charged in the database, against the process."""

    def __init__(self) -> None:
        super().__init__()
        self.allowances = Allowances()
        self.leased = 0
        self.open: list[int] = []
        self.unposted: list[int] = []

    @rule(amount=st.integers(0, 100))
    def lease(self, amount: int) -> None:
        self.allowances.grant(PROJECT, amount)
        self.leased += amount

    @rule(amount=st.integers(0, 50))
    def take(self, amount: int) -> None:
        free = self.allowances.free(PROJECT)
        if self.allowances.take((PROJECT,), amount) is None:
            assert amount <= free
            self.open.append(amount)
        else:
            assert amount > free

    @precondition(lambda self: self.open)
    @rule(share=st.floats(0, 1))
    def end(self, share: float) -> None:
        amount = self.open.pop()
        self.unposted.append(int(amount * share))
        self.allowances.charge((PROJECT,), amount, self.unposted[-1])

    @precondition(lambda self: self.unposted)
    @rule()
    def post(self) -> None:
        cost = self.unposted.pop(0)
        self.allowances.posted((PROJECT,), cost)
        self.leased -= cost

    @rule()
    def give_back(self) -> None:
        self.leased -= self.allowances.withdraw(PROJECT)

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        assert self.allowances.free(PROJECT) == self.leased - sum(self.open) - sum(self.unposted) >= 0


TestMachine = Machine.TestCase
