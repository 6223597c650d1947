"""The database side of the ledger in any order of things: the books are right after each of them."""

from __future__ import annotations

from typing import Any

from hypothesis import settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import Connection, create_engine, insert, select, update

from antiphon.errors import Unavailable
from antiphon.ledger import credits, epochs, leases
from antiphon.ledger.posting import post
from antiphon.ledger.records import Record
from antiphon.ledger.verify import verify
from antiphon.storage import tables
from ledger_rows import NOVEMBER, found, reserve, rows, settle, void

SCOPES = (("org-1", "2026-11"), ("proj_1", "2026-11"), ("credit/org-1", ""))
AMOUNT = 1000
amounts = strategies.integers(1, 8 * AMOUNT)
booleans = strategies.booleans()
usages = strategies.tuples(strategies.integers(0, 400), strategies.integers(0, 300))


class Process:
    """What one gateway process knows: its journal, of which some is posted, and what it may spend."""

    def __init__(self, epoch_id: str) -> None:
        self.id = epoch_id
        self.journal: list[Record] = []
        self.free = dict.fromkeys(SCOPES, 0)
        self.closed = False


class Books(RuleBasedStateMachine):
    """Several processes over one database; each follows the rules of allowances."""

    processes: Bundle[Process] = Bundle("processes")
    running: Bundle[tuple[Process, str, bool]] = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.engine = create_engine("sqlite://")
        self.number = 0
        self.allowed = {SCOPES[0]: AMOUNT * 10**4, SCOPES[1]: AMOUNT * 10**4}

    def run(self, work: Any, *arguments: Any) -> Any:
        with self.engine.begin() as connection:
            return work(connection, *arguments)

    @initialize(target=processes)
    def begin(self) -> Process:
        tables.metadata.create_all(self.engine)
        self.run(found)
        self.run(credits.add, "org-1", 50 * AMOUNT, "", NOVEMBER)
        for scope in ("org-1", "proj_1"):
            limit = {"scope": scope, "cents": 1, "updated_at": NOVEMBER}
            self.run(lambda c, limit=limit: c.execute(insert(tables.spend_limit).values(limit)).close())
        return self.funded(Process("epoch_1"))

    def funded(self, process: Process) -> Process:
        for scope in SCOPES:
            process.free[scope] += self.run(leases.lease, process.id, *scope, 1, 8 * AMOUNT, NOVEMBER)
        return process

    @precondition(lambda self: self.number < 3)
    @rule(target=processes)
    def start(self) -> Process:
        self.number += 1
        process = Process(f"epoch_x{self.number}")
        self.run(epochs.open_epoch, process.id, "here", NOVEMBER)
        return self.funded(process)

    @rule(
        process=processes, scopes=strategies.sampled_from((SCOPES, *zip(SCOPES))), need=amounts, block=amounts
    )
    def lease(self, process: Process, scopes: tuple[tuple[str, str], ...], need: int, block: int) -> None:
        for scope in scopes:
            try:
                granted = self.run(leases.lease, process.id, *scope, need, block, NOVEMBER)
            except Unavailable:
                assert process.closed
            else:
                assert not process.closed and (granted == 0 or need <= granted <= max(need, block))
                process.free[scope] += granted

    @rule(process=processes, scope=strategies.sampled_from(SCOPES), amount=amounts)
    def give_back(self, process: Process, scope: tuple[str, str], amount: int) -> None:
        amount = min(amount, process.free[scope])
        process.free[scope] -= amount
        self.run(leases.give_back, process.id, *scope, amount)

    @rule(target=running, process=processes, prepaid=booleans, count=strategies.integers(1, 5), sent=booleans)
    def reserve(self, process: Process, prepaid: bool, count: int, sent: bool) -> Any:
        scopes = SCOPES if prepaid else SCOPES[:2]
        begun = []
        for _ in range(min(count, *(process.free[scope] // AMOUNT for scope in scopes))):
            self.number += 1
            name = f"req_{self.number}"
            for scope in scopes:
                process.free[scope] -= AMOUNT
            process.journal.append(reserve(len(process.journal) + 1, name, AMOUNT, prepaid=prepaid))
            begun.append((process, name, prepaid))
        if sent:
            self.send(process)
        return multiple(*begun)

    @rule(request=consumes(running), used=strategies.none() | usages, sent=booleans)
    def end(self, request: tuple[Process, str, bool], used: tuple[int, int] | None, sent: bool) -> None:
        process, name, prepaid = request
        seq = len(process.journal) + 1
        process.journal.append(settle(seq, name, *used) if used else void(seq, name))
        input, output = used or (0, 0)
        for scope in SCOPES if prepaid else SCOPES[:2]:
            process.free[scope] += AMOUNT - input - 2 * output
        if sent:
            self.send(process)

    @rule(process=processes, before=strategies.integers(0, 5), count=strategies.integers(1, 10))
    def send(self, process: Process, before: int = 0, count: int = 500) -> None:
        """Post some of the journal, from before the first record that is not posted yet."""
        query = select(tables.epoch.c.posted).where(tables.epoch.c.id == process.id)
        start = max(0, self.run(lambda connection: connection.scalar(query)) - before)
        self.run(post, process.id, process.journal[start : start + count], NOVEMBER)

    @rule(process=processes)
    def close(self, process: Process) -> None:
        """A peer gives the process up, which does not know."""
        self.run(epochs.close, process.id, None, NOVEMBER)
        process.closed = True
        process.free = dict.fromkeys(SCOPES, 0)

    @rule(amount=amounts)
    def credit(self, amount: int) -> None:
        self.run(credits.add, "org-1", amount, "", NOVEMBER)

    @rule(cents=strategies.integers(0, 3))
    def limit(self, cents: int) -> None:
        """A limit that is lowered takes nothing back."""
        committed = self.run(_committed).get(SCOPES[1], 0)
        change = update(tables.spend_limit).where(tables.spend_limit.c.scope == "proj_1")
        self.run(lambda c: c.execute(change.values(cents=cents)).close())
        self.allowed[SCOPES[1]] = max(cents * leases.NANO_PER_CENT, committed)

    @invariant()
    def the_books_are_right(self) -> None:
        assert [str(finding) for finding in self.run(verify)] == []

    @invariant()
    def nothing_passes_its_limit(self) -> None:
        committed = self.run(_committed)
        for scope, allowed in self.allowed.items():
            assert committed.get(scope, 0) <= allowed
        assert self.run(credits.balance, "org-1").left >= 0

    def teardown(self) -> None:
        self.engine.dispose()


def _committed(connection: Connection) -> dict[tuple[str, str], int]:
    return {(r["scope"], r["period"]): r["charged"] + r["leased"] for r in rows(connection, tables.spending)}


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=30, stateful_step_count=50, deadline=None)
