"""Epochs in the database: each is a life of one gateway process; while it is open its reservations count."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, func, insert, literal, select, update

from antiphon.errors import ConfigurationError
from antiphon.ledger import accounts
from antiphon.ledger.requests import CLOSED, Movement
from antiphon.storage.tables import allowance, entry, epoch, idempotency, request, spending


class Epoch(msgspec.Struct, frozen=True):
    """How an epoch stands: its beat, and the last record of its journal that is in the database."""

    beat: int
    posted: int
    closed: bool


def open_epoch(connection: Connection, epoch_id: str, host: str, now: int) -> None:
    """Begin one, of a process on `host`."""
    row = {"id": epoch_id, "host": host, "opened_at": now, "beat": 0, "posted": 0}
    connection.execute(insert(epoch).values(row))


def beat(connection: Connection, epoch_id: str) -> bool:
    """Show that its process lives; False if somebody closed it meanwhile."""
    change = update(epoch).where(epoch.c.id == epoch_id, epoch.c.closed_at.is_(None))
    return connection.execute(change.values(beat=epoch.c.beat + 1)).rowcount == 1


def others(connection: Connection) -> dict[str, int]:
    """The beat of every open epoch."""
    found = connection.execute(select(epoch.c.id, epoch.c.beat).where(epoch.c.closed_at.is_(None)))
    return {row.id: row.beat for row in found}


def lock(connection: Connection, epoch_id: str, *, closing: bool = False, shared: bool = False) -> Epoch:
    """How an epoch stands, and will stand to the end of the transaction.

    Of one epoch, transactions take turns; those that are `shared` wait for none but the one that is
    `closing` it. Raises `ConfigurationError` for one that this database never had.
    """
    query = select(epoch.c.beat, epoch.c.posted, epoch.c.closed_at).where(epoch.c.id == epoch_id)
    row = connection.execute(query.with_for_update(read=shared, key_share=not closing)).one_or_none()
    if row is None:
        raise ConfigurationError(
            f"the journal of {epoch_id} belongs to another database",
            fix="use the database it was written for, or move its folder out of the data folder",
        )
    return Epoch(row.beat, row.posted, row.closed_at is not None)


def close(connection: Connection, epoch_id: str, seen: int | None, now: int) -> int:
    """End an epoch: void what it has open, and return its allowances. The answer is how many were voided.

    Nothing happens if it is closed already, or if its beat is not the one that was `seen`.
    """
    found = lock(connection, epoch_id, closing=True)
    if found.closed or seen not in (None, found.beat):
        return 0
    connection.execute(update(epoch).where(epoch.c.id == epoch_id).values(closed_at=now))
    voided = _void(connection, epoch_id, now)
    _return_allowances(connection, epoch_id)
    _forget_claims(connection, epoch_id)
    return voided


def _void(connection: Connection, epoch_id: str, now: int) -> int:
    is_open = (request.c.epoch == epoch_id) & (request.c.status == "open")
    sums = connection.execute(
        select(request.c.project_id, func.sum(request.c.reserved).label("amount"))
        .where(is_open)
        .group_by(request.c.project_id)
    )
    released = [Movement("holds", f"held/{row.project_id}", int(row.amount)) for row in sums]
    releases = select(
        request.c.id,
        literal("release"),
        literal("holds"),
        literal("held/") + request.c.project_id,
        request.c.reserved,
        literal(now, entry.c.posted_at.type),
    ).where(is_open)
    connection.execute(insert(entry).from_select(list(entry.c), releases))
    accounts.move(connection, released)
    change = update(request).where(is_open).values(status="voided", reason=CLOSED, ended_at=now)
    return connection.execute(change).rowcount


def _return_allowances(connection: Connection, epoch_id: str) -> None:
    mine = allowance.c.epoch == epoch_id
    rows = connection.execute(select(allowance).where(mine)).all()
    # In the order of everyone else who changes spendings: a database may sort text in another way.
    for row in sorted(rows, key=lambda row: (row.scope, row.period)):
        place = (spending.c.scope == row.scope) & (spending.c.period == row.period)
        connection.execute(update(spending).where(place).values(leased=spending.c.leased - row.amount))
    connection.execute(delete(allowance).where(mine))


def _forget_claims(connection: Connection, epoch_id: str) -> None:
    unended = (idempotency.c.epoch == epoch_id) & idempotency.c.ended.is_(False)
    charged = select(request.c.id).where(request.c.epoch == epoch_id, request.c.status == "settled")
    kept = unended & idempotency.c.request_id.in_(charged)
    connection.execute(update(idempotency).where(kept).values(ended=True))
    connection.execute(delete(idempotency).where(unended))
