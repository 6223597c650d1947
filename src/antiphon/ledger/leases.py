"""What gateway processes may spend: leased to their epochs under a lock, never beyond a limit."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, func, select, update

from antiphon.errors import Unavailable
from antiphon.ledger import epochs
from antiphon.ledger.allowances import Scope
from antiphon.ledger.requests import credit_scope
from antiphon.storage import sql
from antiphon.storage.tables import allowance, credit, spend_limit, spending

NANO_PER_CENT = 10_000_000
_CREDIT = credit_scope("")


def lease(
    connection: Connection, epoch_id: str, scope: str, period: str, need: int, block: int, now: int
) -> int:
    """Lease `block` nano-dollars of a scope to an epoch, or less, at least `need`; 0 if there is too little.

    What is charged and what is leased never exceed the limit together. A refusal is noted in the scope's
    `wanted_at`, which then grows. Raises `Unavailable` if the epoch is closed.
    """
    if epochs.lock(connection, epoch_id).closed:
        raise Unavailable("This process was taken for dead.", retry_after=1)
    place = (spending.c.scope == scope) & (spending.c.period == period)
    new = {"scope": scope, "period": period, "charged": 0, "leased": 0, "wanted_at": 0}
    sql.insert_missing(connection, spending, [new])
    row = connection.execute(select(spending).where(place).with_for_update()).one()
    limit = limits(connection, [(scope, period)]).get((scope, period))
    granted = max(need, block)
    if limit is not None:
        granted = min(granted, limit - row.charged - row.leased)
    if granted < need:
        # Whoever sees it change gives back what it does not hold: it has to change within a second as well.
        wanted = max(now, row.wanted_at + 1)
        connection.execute(update(spending).where(place).values(wanted_at=wanted))
        return 0
    connection.execute(update(spending).where(place).values(leased=spending.c.leased + granted))
    share = {"epoch": epoch_id, "scope": scope, "period": period, "amount": granted}
    sql.add(connection, allowance, [share], ["amount"])
    return granted


def give_back(connection: Connection, epoch_id: str, scope: str, period: str, amount: int) -> None:
    """Return `amount` of what an epoch has leased. One that is closed has returned everything already."""
    if epochs.lock(connection, epoch_id).closed:
        return
    place = (spending.c.scope == scope) & (spending.c.period == period)
    connection.execute(update(spending).where(place).values(leased=spending.c.leased - amount))
    share = (allowance.c.epoch == epoch_id) & (allowance.c.scope == scope) & (allowance.c.period == period)
    connection.execute(update(allowance).where(share).values(amount=allowance.c.amount - amount))
    connection.execute(delete(allowance).where(share, allowance.c.amount == 0))


def limits(connection: Connection, scopes: Collection[Scope]) -> dict[Scope, int]:
    """What may be spent of each scope in its period, in nano-dollars; one without a limit is left out."""
    names = {scope for scope, _ in scopes}
    credited = {name.removeprefix(_CREDIT) for name in names if name.startswith(_CREDIT)}
    found = {credit_scope(id): 0 for id in credited}
    for ids in sql.chunks(credited):
        paid = select(credit.c.organization_id, func.sum(credit.c.amount).label("amount"))
        paid = paid.where(credit.c.organization_id.in_(ids)).group_by(credit.c.organization_id)
        found |= {credit_scope(row.organization_id): int(row.amount) for row in connection.execute(paid)}
    for some in sql.chunks(names):
        limited = select(spend_limit).where(spend_limit.c.scope.in_(some))
        found |= {row.scope: row.cents * NANO_PER_CENT for row in connection.execute(limited)}
    return {scope: found[scope[0]] for scope in scopes if scope[0] in found}


def wanted(connection: Connection, scopes: Collection[Scope]) -> dict[Scope, int]:
    """When each scope was last found to have too little left; one that nobody has used is left out."""
    found: dict[Scope, int] = {}
    periods = {period for _, period in scopes}
    for some in sql.chunks({scope for scope, _ in scopes}):
        query = select(spending.c.scope, spending.c.period, spending.c.wanted_at)
        query = query.where(spending.c.scope.in_(some), spending.c.period.in_(periods))
        found |= {(row.scope, row.period): row.wanted_at for row in connection.execute(query)}
    return {scope: found[scope] for scope in scopes if scope in found}


def spent(connection: Connection, scopes: Collection[Scope]) -> dict[Scope, int]:
    """What was charged of each scope in its period, in nano-dollars; what runs is not among it."""
    found: dict[Scope, int] = {}
    periods = {period for _, period in scopes}
    for some in sql.chunks({scope for scope, _ in scopes}):
        query = select(spending.c.scope, spending.c.period, spending.c.charged)
        query = query.where(spending.c.scope.in_(some), spending.c.period.in_(periods))
        found |= {(row.scope, row.period): row.charged for row in connection.execute(query)}
    return {scope: found.get(scope, 0) for scope in scopes}
