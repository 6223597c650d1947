"""What organizations pay in advance."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select, tuple_

from antiphon.errors import InvalidRequest
from antiphon.ledger import accounts
from antiphon.ledger.requests import Movement, credit_scope
from antiphon.storage import sql
from antiphon.storage.ids import derived_id, new_id
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


_CREDITS = select(*(credit.c[name] for name in Credit.__struct_fields__))


class Balance(msgspec.Struct, frozen=True):
    """Nano-dollars: paid in advance, charged of it, and held for requests or by processes."""

    credited: int
    charged: int
    leased: int

    @property
    def unspent(self) -> int:
        """What was not charged yet; some of it may be held for requests that run."""
        return self.credited - self.charged

    @property
    def left(self) -> int:
        """What may still be spent."""
        return self.unspent - self.leased


def add(
    connection: Connection, organization_id: str, amount: int, note: str, now: int, *, name: str | None = None
) -> tuple[Credit, bool]:
    """Give an organization, which must exist, a credit; a negative `amount` takes one back.

    Returns it and whether it is new: with a `name`, which is the caller's for it, it is given only once.
    Raises `InvalidRequest` for an amount of nothing, or one that no one can mean, and for a name that another
    amount or note has.
    """
    if not amount or abs(amount) > LARGEST:
        raise InvalidRequest("'amount' must not be 0, and at most $100,000,000.", param="amount")
    id = new_id("credit_") if name is None else derived_id("credit_", organization_id, name)
    made = Credit(id=id, amount=amount, note=note, created_at=now)
    # Of two who come at once, the second waits for the first and then finds its row.
    new = sql.insert(connection, credit).values(asdict(made) | {"organization_id": organization_id})
    if connection.execute(new.on_conflict_do_nothing().returning(credit.c.id)).one_or_none() is None:
        return _same(connection, made), False
    movement = movement_of(organization_id, amount)
    row = {"request_id": made.id, "kind": "credit", "posted_at": now} | asdict(movement)
    connection.execute(insert(entry).values(row))
    accounts.move(connection, [movement])
    return made, True


def _same(connection: Connection, wanted: Credit) -> Credit:
    """The credit that has this id already."""
    row = connection.execute(_CREDITS.where(credit.c.id == wanted.id)).one()
    found = Credit(**row._mapping)
    if (found.amount, found.note) != (wanted.amount, wanted.note):
        raise InvalidRequest(
            "Another amount or note was credited under this id or key before.",
            code="idempotency_key_in_use",
        )
    return found


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
    query = _CREDITS.where(credit.c.organization_id == organization_id)
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
