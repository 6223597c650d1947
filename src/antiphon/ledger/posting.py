"""Moves records of a journal into the database: each of them once, however often it is sent."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, insert, select, update

from antiphon.ledger import accounts, epochs, rollups
from antiphon.ledger.allowances import Scope
from antiphon.ledger.prices import Cost
from antiphon.ledger.records import End, Record, Reserve, Settle
from antiphon.ledger.requests import CLOSED, Request, reserved
from antiphon.storage import sql
from antiphon.storage.tables import allowance, entry, epoch, price, request, spending
from antiphon.values import Price

_ENDING = (
    "status",
    "ended_at",
    "reason",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "seconds",
    "cost",
    "queued_ms",
    "engine_ms",
    "first_ms",
    "ended_ms",
)
_OPEN, _ENTER = insert(request), insert(entry)
_END = update(request).where(request.c.id == bindparam("id"))
_END = _END.values({name: bindparam(name) for name in _ENDING})
_COST = bindparam("charged_now", type_=spending.c.charged.type)
_SPEND = (
    update(spending)
    .where(spending.c.scope == bindparam("in_scope"), spending.c.period == bindparam("in_period"))
    .values(charged=spending.c.charged + _COST, leased=spending.c.leased - _COST)
)
_USE = (
    update(allowance)
    .where(allowance.c.epoch == bindparam("in_epoch"))
    .where(allowance.c.scope == bindparam("in_scope"), allowance.c.period == bindparam("in_period"))
    .values(amount=allowance.c.amount - _COST)
)
"""All of these are given rows by `sql.write`."""


def post(connection: Connection, epoch_id: str, records: Sequence[Record], now: int) -> None:
    """Post what is new of `records`, which are in order and follow those posted before.

    If the epoch is closed nothing is charged any more: what was still open is void, and what was consumed
    is the operator's loss. A request ends once; the first end counts.
    """
    found = epochs.lock(connection, epoch_id)
    fresh = [record for record in records if record.seq > found.posted]
    if not fresh:
        return
    opened = _opened(connection, epoch_id, fresh)
    ends: dict[str, End] = {}
    for record in fresh:
        if not isinstance(record, Reserve):
            ends.setdefault(record.request_id, record)
    known = _known(connection, ends.keys() - opened.keys())
    written = {id: set(known[id].movements()) for id in known}
    settled = _end(opened | known, ends, late=found.closed)
    if found.closed:
        for row in opened.values():
            _void_late(row, now)
    _write_requests(connection, opened.values(), known.values())
    _write_entries(connection, [*opened.values(), *known.values()], written, now)
    _charge(connection, epoch_id, [row for row, _ in settled])
    rollups.add(connection, settled)
    connection.execute(update(epoch).where(epoch.c.id == epoch_id).values(posted=fresh[-1].seq))


@lru_cache(maxsize=1000)
def price_id(snapshot: str, price: Price) -> str:
    """The id of a snapshot's price: a digest of all of it."""
    whole = (snapshot, price.since, price.input, price.cached_input, price.output, price.second)
    return f"price_{hashlib.sha256('|'.join(map(str, whole)).encode()).hexdigest()[:32]}"


def _opened(connection: Connection, epoch_id: str, records: Iterable[Record]) -> dict[str, Request]:
    """The requests that are reserved in this batch; their prices are written."""
    opened, prices = {}, {}
    for record in records:
        if isinstance(record, Reserve):
            id = price_id(record.snapshot, record.price)
            if id not in prices:
                prices[id] = {"id": id, "snapshot": record.snapshot} | asdict(record.price)
                prices[id]["since"] = record.price.since.isoformat()
            opened[record.request_id] = reserved(record, epoch_id, id)
    sql.insert_missing(connection, price, [prices[id] for id in sorted(prices)])
    return opened


def _known(connection: Connection, ids: Iterable[str]) -> dict[str, Request]:
    """Requests that were reserved in an earlier batch."""
    found = {}
    for some in sql.chunks(list(ids)):
        for row in connection.execute(select(request).where(request.c.id.in_(some))):
            found[row.id] = Request(**row._mapping)
    return found


def _end(rows: dict[str, Request], ends: dict[str, End], *, late: bool) -> list[tuple[Request, Cost]]:
    """End requests; those that are charged, and for what."""
    settled = []
    for id, end in ends.items():
        row = rows[id]
        lost = late and row.status == "voided" and isinstance(end, Settle)
        if row.status != "open" and not lost:
            continue
        row.end(end, late=late)
        if isinstance(end, Settle) and not late:
            settled.append((row, Cost(end.input_cost, end.output_cost, end.audio_cost)))
    return settled


def _void_late(row: Request, now: int) -> None:
    if row.status == "open":
        row.status, row.reason, row.ended_at = "voided", CLOSED, now


def _write_requests(connection: Connection, new: Iterable[Request], known: Iterable[Request]) -> None:
    sql.write(connection, _OPEN, [asdict(row) for row in new])
    sql.write(connection, _END, [asdict(row) for row in known])


def _write_entries(
    connection: Connection, rows: Iterable[Request], written: dict[str, set[Any]], now: int
) -> None:
    """The entries that rows have by now, but for those that were written before."""
    new = [
        (row.id, kind, movement)
        for row in rows
        for kind, movement in row.movements().items()
        if kind not in written.get(row.id, ())
    ]
    entries = [
        {
            "request_id": id,
            "kind": kind,
            "debit": movement.debit,
            "credit": movement.credit,
            "amount": movement.amount,
            "posted_at": now,
        }
        for id, kind, movement in new
    ]
    sql.write(connection, _ENTER, entries)
    accounts.move(connection, [movement for _, _, movement in new])


def _charge(connection: Connection, epoch_id: str, settled: Iterable[Request]) -> None:
    """Take what was charged out of the epoch's allowances, and say that it is spent."""
    costs: Counter[Scope] = Counter()
    for row in settled:
        costs.update(dict.fromkeys(row.scopes, row.cost))
    changes = [
        {"in_epoch": epoch_id, "in_scope": scope, "in_period": period, "charged_now": cost}
        for (scope, period), cost in sorted(costs.items())
        if cost
    ]
    sql.write(connection, _SPEND, changes)
    sql.write(connection, _USE, changes)
