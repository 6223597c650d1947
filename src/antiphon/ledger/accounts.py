"""The balances of the accounts: sums of entries, kept in the transaction that writes the entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection

from antiphon.ledger.requests import Movement
from antiphon.storage import sql
from antiphon.storage.tables import account


def balances(movements: Iterable[Movement]) -> Counter[str]:
    """What each account is changed by, debits less credits."""
    changes: Counter[str] = Counter()
    for movement in movements:
        changes[movement.debit] += movement.amount
        changes[movement.credit] -= movement.amount
    return changes


def move(connection: Connection, movements: Iterable[Movement]) -> None:
    """Change the balances by what is moved."""
    changes = [{"name": name, "balance": amount} for name, amount in balances(movements).items()]
    sql.add(connection, account, changes, ["balance"])
