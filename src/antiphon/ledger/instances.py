"""Dedicated instances as the books see them: what was agreed, and when each replica was ready."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from itertools import pairwise

import msgspec
from sqlalchemy import ColumnElement, Connection, select, true

from antiphon.ledger import duration
from antiphon.ledger.duration import TOLERATED, Outage, Rate
from antiphon.storage import sql
from antiphon.storage.tables import dedicated_instance, dedicated_rate, dedicated_ready

Replica = tuple[str, int]
"""An instance, by its id, and which of its replicas."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What an organization has agreed to pay for. Moments are unix seconds."""

    id: str
    organization_id: str
    snapshot: str
    begins_at: int
    ends_at: int | None
    rates: tuple[Rate, ...]


def agreements(connection: Connection, which: ColumnElement[bool] | None = None) -> list[Agreement]:
    """Of every instance, the oldest first, or of some."""
    columns = dedicated_instance.c
    some = true() if which is None else which
    query = select(dedicated_instance).where(some).order_by(columns.created_at, columns.id)
    rows = connection.execute(query).all()
    changes: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    rates = select(dedicated_rate).join(dedicated_instance).where(some)
    for rate in connection.execute(rates.order_by(dedicated_rate.c.instance_id, dedicated_rate.c.begins_at)):
        changes[rate.instance_id].append((rate.begins_at, rate.replicas, rate.price))
    return [
        Agreement(
            id=row.id,
            organization_id=row.organization_id,
            snapshot=row.snapshot,
            begins_at=row.begins_at,
            ends_at=row.ends_at,
            rates=_rates(changes[row.id], row.ends_at),
        )
        for row in rows
    ]


def _rates(changes: Iterable[tuple[int, int, int]], ends_at: int | None) -> tuple[Rate, ...]:
    """Each change is in force until the next one; the last until the instance ends."""
    ordered: list[tuple[int | None, int, int]] = [*changes, (ends_at, 0, 0)]
    return tuple(
        Rate(begin, end, price=price, replicas=replicas)
        for (begin, replicas, price), (end, _, _) in pairwise(ordered)
        if begin is not None
    )


def outages(connection: Connection, agreement: Agreement, until: int) -> list[Outage]:
    """When its replicas were away, of all of them together, as far as is known up to `until`."""
    ready = readiness(connection, agreement.id)
    most = max((rate.replicas for rate in agreement.rates), default=0)
    return [
        gap
        for replica in range(most)
        for gap in duration.outages(ready.get(replica, ()), duration.life(agreement.rates, replica), until)
    ]


def readiness(connection: Connection, instance_id: str) -> dict[int, list[duration.Span]]:
    """When each replica was ready, by its number."""
    ready: dict[int, list[duration.Span]] = defaultdict(list)
    query = select(dedicated_ready).where(dedicated_ready.c.instance_id == instance_id)
    for row in connection.execute(query.order_by(dedicated_ready.c.begins_at)):
        ready[row.replica].append(duration.Span(row.begins_at, row.ends_at))
    return ready


class Readiness:
    """Notes when replicas are ready, in the one process that runs them."""

    def __init__(self) -> None:
        self._since: dict[Replica, tuple[int, int]] = {}
        """When each became ready, and when it was last noted."""

    def note(self, connection: Connection, ready: Collection[Replica], now: int) -> None:
        """These are ready at `now` (unix seconds), and no others."""
        since = {replica: self._time(replica, now) for replica in ready}
        rows = [
            {"instance_id": id, "replica": number, "begins_at": begin, "ends_at": end}
            for (id, number), (begin, end) in sorted(since.items())
        ]
        if rows:
            noted = sql.insert(connection, dedicated_ready).values(rows)
            keys = list(dedicated_ready.primary_key)
            connection.execute(
                noted.on_conflict_do_update(index_elements=keys, set_={"ends_at": noted.excluded.ends_at})
            )
        self._since = since

    def changed(self, ready: Collection[Replica]) -> bool:
        """Whether others are ready than were noted last."""
        return set(ready) != self._since.keys()

    def _time(self, replica: Replica, now: int) -> tuple[int, int]:
        """Since when it has been ready, and until when.

        What was not noted for too long cannot be told to have been ready. What was noted stays, though the
        clock be set back.
        """
        begin, seen = self._since.get(replica, (now, now))
        return (begin, max(seen, now)) if now - seen <= TOLERATED else (now, now)
