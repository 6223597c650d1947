"""Proves the sums: balances, what scopes have spent, what is leased, and the rollups as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from antiphon.ledger import leases, rollups
from antiphon.ledger.allowances import Scope
from antiphon.ledger.requests import credit_scope
from antiphon.ledger.tally import Finding, Tally
from antiphon.storage.tables import (
    account,
    allowance,
    credit,
    entry,
    epoch,
    request,
    spend_limit,
    spending,
    time_charge,
    usage_rollup,
)

_STRAYS = 100


def check(connection: Connection, tally: Tally) -> Iterator[Finding]:
    """Compare the sums that are written with a tally of every request, credit and charge for time."""
    yield from _strays(connection)
    yield from _balances(connection, tally)
    yield from _spending(connection, tally)
    yield from _allowances(connection)
    yield from _limits(connection, tally)
    yield from _rollups(connection, tally)


def _strays(connection: Connection) -> Iterator[Finding]:
    """Entries that belong to nothing."""
    of_request = select(request.c.id).where(request.c.id == entry.c.request_id).exists()
    of_credit = select(credit.c.id).where(credit.c.id == entry.c.request_id).exists()
    of_time = select(time_charge.c.id).where(time_charge.c.id == entry.c.request_id).exists()
    query = select(entry.c.request_id).where(~of_request, ~of_credit, ~of_time).limit(_STRAYS)
    for row in connection.execute(query):
        yield Finding("the entry belongs to no request, credit or time", row.request_id)


def _balances(connection: Connection, tally: Tally) -> Iterator[Finding]:
    written = {row.name: row.balance for row in connection.execute(select(account))}
    for name in sorted(written.keys() | tally.balances.keys()):
        found, expected = written.get(name, 0), tally.balances[name]
        if found != expected:
            yield Finding("the balance is not the sum of its entries", name, found, expected)


def _spending(connection: Connection, tally: Tally) -> Iterator[Finding]:
    rows = {(row.scope, row.period): row for row in connection.execute(select(spending))}
    sums = select(allowance.c.scope, allowance.c.period, func.sum(allowance.c.amount).label("amount"))
    sums = sums.group_by(allowance.c.scope, allowance.c.period)
    leased = {(row.scope, row.period): int(row.amount) for row in connection.execute(sums)}
    for place in sorted(rows.keys() | tally.charged.keys() | leased.keys()):
        row = rows.get(place)
        charged, held = (row.charged, row.leased) if row else (0, 0)
        if charged != tally.charged[place]:
            text = "what was spent is not the sum of what was charged"
            yield Finding(text, _name(place), charged, tally.charged[place])
        if held != leased.get(place, 0):
            text = "what is leased is not the sum of the allowances"
            yield Finding(text, _name(place), held, leased.get(place, 0))


def _allowances(connection: Connection) -> Iterator[Finding]:
    query = select(allowance, epoch.c.closed_at).join(epoch)
    for row in connection.execute(query.order_by(allowance.c.scope, allowance.c.period)):
        of = f"{row.epoch} of {_name((row.scope, row.period))}"
        if row.amount < 0:
            yield Finding("the allowance is less than nothing", of)
        if row.closed_at is not None:
            yield Finding("the epoch is closed and has an allowance", of)


def _limits(connection: Connection, tally: Tally) -> Iterator[Finding]:
    """Limits that have been in force for all of a period, which it therefore cannot have passed.

    Time is charged whatever the limits say, for it was agreed.
    """
    changed = {row.scope: row.updated_at for row in connection.execute(select(spend_limit))}
    lowered = select(credit.c.organization_id).where(credit.c.amount < 0).distinct()
    unsteady = {credit_scope(row.organization_id) for row in connection.execute(lowered)}
    rows = connection.execute(select(spending)).all()
    limits = leases.limits(connection, [(row.scope, row.period) for row in rows])
    for row in rows:
        place = (row.scope, row.period)
        if place not in limits or row.charged - tally.timed[place] + row.leased <= limits[place]:
            continue
        if _begins(row.period) > changed[row.scope] if row.period else row.scope not in unsteady:
            yield Finding("more is charged and leased than allowed", _name(place))


def _rollups(connection: Connection, tally: Tally) -> Iterator[Finding]:
    """All rollups of a width together: rows of days without any request would not be looked at otherwise."""
    columns = [func.sum(usage_rollup.c[name]).label(name) for name in rollups.SUMS]
    query = select(usage_rollup.c.width, *columns).group_by(usage_rollup.c.width)
    written = {row["width"]: row for row in connection.execute(query).mappings()}
    for width in sorted(written.keys() | set(rollups.WIDTHS)):
        for name in rollups.SUMS:
            found = int(written[width][name]) if width in written else 0
            if found != tally.usage[name]:
                text = f"the sum of {name} in the rollups is wrong"
                yield Finding(text, f"{width} seconds", found, tally.usage[name])


def _name(place: Scope) -> str:
    return " ".join(place).strip()


def _begins(period: str) -> float:
    """The first moment of a month, less a day for clocks that differ."""
    return datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC).timestamp() - rollups.DAY
