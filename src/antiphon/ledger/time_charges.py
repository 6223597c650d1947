"""Charges for time: an hour of an instance at a time, posted once each, whoever posts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select

from antiphon.ledger import accounts, duration, instances, sql
from antiphon.ledger.allowances import Scope
from antiphon.ledger.duration import HOUR, TOLERATED
from antiphon.ledger.instances import Agreement
from antiphon.ledger.requests import Kind, Movement, credit_scope
from antiphon.storage.ids import derived_id
from antiphon.storage.tables import entry, organization, spending, time_charge

MOST = 500
"""Charges of one transaction, for which other writers wait."""
_ENTER = insert(entry)


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
    latest = select(time_charge.c.instance_id, func.max(time_charge.c.ends_at)).group_by(
        time_charge.c.instance_id
    )
    ends = {id: int(end) for id, end in connection.execute(latest)}
    paying = connection.execute(select(organization.c.id, organization.c.prepaid))
    prepaid = {id: in_advance for id, in_advance in paying}
    posted: list[TimeCharge] = []
    for agreement in instances.agreements(connection):
        found = due(agreement, ends.get(agreement.id, agreement.begins_at), now)
        times = list(islice(found, MOST - len(posted)))
        if times:
            made = _charges(connection, agreement, times, prepaid[agreement.organization_id], now)
            posted += [charge for charge in made if _written(connection, charge)]
    _post(connection, posted)
    return posted


def billed(connection: Connection, instance_id: str) -> int:
    """Until when an instance is billed; 0 if it is not yet."""
    latest = select(func.max(time_charge.c.ends_at)).where(time_charge.c.instance_id == instance_id)
    return int(connection.scalar(latest) or 0)


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
