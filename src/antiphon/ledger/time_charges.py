"""Charges for time: an hour of an instance at a time, posted once each, whoever posts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select

from antiphon.ledger import accounts, duration, instances
from antiphon.ledger.allowances import Scope
from antiphon.ledger.duration import HOUR, TOLERATED
from antiphon.ledger.instances import Agreement
from antiphon.ledger.requests import Kind, Movement, credit_scope
from antiphon.storage import sql
from antiphon.storage.ids import derived_id
from antiphon.storage.tables import dedicated_instance, entry, organization, spending, time_charge

MOST = 500
"""Charges of one transaction, for which other writers wait."""
_ENTER = insert(entry)
_LATEST = select(time_charge.c.ends_at).order_by(time_charge.c.begins_at.desc()).limit(1)


class TimeCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `time_charge`: times in unix seconds, money in nano-dollars."""

    id: str
    instance_id: str
    organization_id: str
    snapshot: str
    period: str
    prepaid: bool
    begins_at: int
    ends_at: int
    charged: int
    credited: int
    """What is given back of it."""
    posted_at: int

    @property
    def cost(self) -> int:
        return self.charged - self.credited

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Whose money it draws upon."""
        month = (self.organization_id, self.period)
        return (month, (credit_scope(self.organization_id), "")) if self.prepaid else (month,)

    def movements(self) -> dict[Kind, Movement]:
        """Its entries."""
        customer, revenue = f"charged/{self.organization_id}", f"revenue/{self.snapshot}"
        found: dict[Kind, Movement] = {"time": Movement(customer, revenue, self.charged)}
        if self.credited:
            found["refund"] = Movement(revenue, customer, self.credited)
        return found


class Cost(msgspec.Struct, frozen=True):
    """What an instance has cost so far, in nano-dollars, and what of it was given back."""

    charged: int = 0
    credited: int = 0


def bill(connection: Connection, now: int) -> list[TimeCharge]:
    """Post what is due at `now` (unix seconds): every hour of an instance a minute after it, and its last.

    What another process posts at the same time is posted once. At most `MOST` are posted, and their number is
    `MOST` if there may be more.
    """
    posted: list[TimeCharge] = []
    for agreement, begin in _unfinished(connection, now):
        times = list(islice(due(agreement, begin, now), MOST - len(posted)))
        if times:
            payer = select(organization.c.prepaid).where(organization.c.id == agreement.organization_id)
            made = _charges(connection, agreement, times, bool(connection.scalar(payer)), now)
            posted += [charge for charge in made if _written(connection, charge)]
    _post(connection, posted)
    return posted


def billed(connection: Connection, instance_id: str) -> int:
    """Until when an instance is billed; 0 if it is not yet."""
    latest = _LATEST.where(time_charge.c.instance_id == instance_id)
    return int(connection.scalar(latest) or 0)


def unbilled(connection: Connection, organization_id: str, now: int) -> int:
    """What the instances of an organization have cost up to `now` beyond what was charged, in nano-dollars;
    what will be given back of it is not known yet."""
    return sum(
        duration.charge(agreement.rates, begin, max(begin, now))
        for agreement, begin in _unfinished(connection, now, organization_id)
    )


def _unfinished(
    connection: Connection, now: int, organization_id: str | None = None
) -> list[tuple[Agreement, int]]:
    """The agreements that are not billed to their ends, of all who have begun: each with how far it is."""
    columns = dedicated_instance.c
    # By the index of charges: what was billed is much, and is not read.
    so_far = func.coalesce(
        _LATEST.where(time_charge.c.instance_id == columns.id).scalar_subquery(), columns.begins_at
    )
    which = (columns.begins_at < now) & (columns.ends_at.is_(None) | (columns.ends_at > so_far))
    if organization_id is not None:
        which &= columns.organization_id == organization_id
    begins = {id: int(begin) for id, begin in connection.execute(select(columns.id, so_far).where(which))}
    return [(one, begins[one.id]) for one in instances.agreements(connection, which)]


def due(agreement: Agreement, begin: int, now: int) -> Iterator[tuple[int, int]]:
    """The times from `begin` on that can be billed at `now`: what was ready in them is known for good."""
    while agreement.ends_at is None or begin < agreement.ends_at:
        end = begin - begin % HOUR + HOUR
        if agreement.ends_at is not None:
            end = min(end, agreement.ends_at)
        if end + TOLERATED > now:
            return
        yield begin, end
        begin = end


def month(moment: int) -> str:
    """In which month a charge counts that begins then: no hour lies in two."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m}"


def amounts(connection: Connection, agreement: Agreement, times: Iterable[tuple[int, int]]) -> list[Cost]:
    """What each time costs, and what of that is given back."""
    found = list(times)
    # Later than a minute after the last of them nothing changes any more.
    gaps = instances.outages(connection, agreement, max(end for _, end in found) + TOLERATED)
    return [
        Cost(
            duration.charge(agreement.rates, begin, end),
            duration.credit(agreement.rates, gaps, begin, end),
        )
        for begin, end in found
    ]


def cost(connection: Connection, instance_id: str) -> Cost:
    """What an instance has cost so far."""
    sums = select(func.sum(time_charge.c.charged), func.sum(time_charge.c.credited))
    row = connection.execute(sums.where(time_charge.c.instance_id == instance_id)).one()
    return Cost(int(row[0] or 0), int(row[1] or 0))


def _charges(
    connection: Connection, agreement: Agreement, times: list[tuple[int, int]], prepaid: bool, now: int
) -> Iterator[TimeCharge]:
    for (begin, end), cost in zip(times, amounts(connection, agreement, times), strict=True):
        yield TimeCharge(
            id=derived_id("time_", agreement.id, str(begin)),
            instance_id=agreement.id,
            organization_id=agreement.organization_id,
            snapshot=agreement.snapshot,
            period=month(begin),
            prepaid=prepaid,
            begins_at=begin,
            ends_at=end,
            charged=cost.charged,
            credited=cost.credited,
            posted_at=now,
        )


def _written(connection: Connection, charge: TimeCharge) -> bool:
    """Write a charge, unless it is in the books; whether it was not."""
    new = sql.insert(connection, time_charge).values(asdict(charge))
    done = connection.execute(new.on_conflict_do_nothing().returning(time_charge.c.id))
    return done.one_or_none() is not None


def _post(connection: Connection, charges: Collection[TimeCharge]) -> None:
    """Post new charges, all of them together: accounts, then scopes, as whoever else posts locks them."""
    movements = [
        (charge, kind, movement) for charge in charges for kind, movement in charge.movements().items()
    ]
    entries = [
        {"request_id": charge.id, "kind": kind, "posted_at": charge.posted_at} | asdict(movement)
        for charge, kind, movement in movements
    ]
    spent: Counter[Scope] = Counter()
    for charge in charges:
        spent.update(dict.fromkeys(charge.scopes, charge.cost))
    scopes = [
        {"scope": scope, "period": period, "charged": cost, "leased": 0, "wanted_at": 0}
        for (scope, period), cost in spent.items()
    ]
    sql.write(connection, _ENTER, entries)
    accounts.move(connection, [movement for _, _, movement in movements])
    sql.add(connection, spending, scopes, ["charged"])
