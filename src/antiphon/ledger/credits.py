"""What organizations pay in advance."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select, tuple_

from antiphon.errors import InvalidRequest
from antiphon.ledger import accounts
from antiphon.ledger.requests import Movement, credit_scope
from antiphon.storage.ids import new_id
from antiphon.storage.tables import credit, entry, spending

LARGEST = 10**17
"""Nano-dollars ($100 million) that one credit may be."""
LARGEST_PAGE = 100


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` in nano-dollars, less than nothing if it was taken back; `created_at` in unix seconds."""

    id: str
    amount: int
    note: str
    created_at: int


class Balance(msgspec.Struct, frozen=True):
    """Nano-dollars: paid in advance, charged of it, and held for requests or by processes."""

    credited: int
    charged: int
    leased: int

    @property
    def left(self) -> int:
        """What may still be spent."""
        return self.credited - self.charged - self.leased


def add(connection: Connection, organization_id: str, amount: int, note: str, now: int) -> Credit:
    """Give an organization, which must exist, a credit; a negative `amount` takes one back.

    Raises `InvalidRequest` for an amount of nothing, or one that no one can mean.
    """
    if not amount or abs(amount) > LARGEST:
        raise InvalidRequest("'amount' must not be 0, and at most $100,000,000.", param="amount")
    made = Credit(id=new_id("credit_"), amount=amount, note=note, created_at=now)
    connection.execute(insert(credit).values(asdict(made) | {"organization_id": organization_id}))
    movement = movement_of(organization_id, amount)
    row = {"request_id": made.id, "kind": "credit", "posted_at": now} | asdict(movement)
    connection.execute(insert(entry).values(row))
    accounts.move(connection, [movement])
    return made


def movement_of(organization_id: str, amount: int) -> Movement:
    """The entry of a credit."""
    paid = credit_scope(organization_id)
    return Movement("cash", paid, amount) if amount > 0 else Movement(paid, "cash", -amount)


def listed(
    connection: Connection, organization_id: str, *, after: str | None = None, limit: int = LARGEST_PAGE
) -> tuple[list[Credit], bool]:
    """Credits of an organization after the one with the id `after`, oldest first, and whether more follow.

    Raises `InvalidRequest` for a limit outside 1 to 100, and for an `after` that is not in the list.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidRequest(f"'limit' must be between 1 and {LARGEST_PAGE}.", param="limit")
    place = tuple_(credit.c.created_at, credit.c.id)
    query = select(*(credit.c[name] for name in Credit.__struct_fields__))
    query = query.where(credit.c.organization_id == organization_id)
    if after is not None:
        begin = connection.execute(query.where(credit.c.id == after)).one_or_none()
        if begin is None:
            raise InvalidRequest("'after' is not the id of an entry of this list.", param="after")
        query = query.where(place > tuple_(begin.created_at, begin.id))
    rows = connection.execute(query.order_by(credit.c.created_at, credit.c.id).limit(limit + 1)).all()
    return [Credit(**row._mapping) for row in rows[:limit]], len(rows) > limit


def balance(connection: Connection, organization_id: str) -> Balance:
    """How an organization's prepaid account stands."""
    paid = select(func.sum(credit.c.amount)).where(credit.c.organization_id == organization_id)
    spent = select(spending.c.charged, spending.c.leased).where(
        spending.c.scope == credit_scope(organization_id), spending.c.period == ""
    )
    row = connection.execute(spent).one_or_none()
    return Balance(int(connection.scalar(paid) or 0), *(row or (0, 0)))
