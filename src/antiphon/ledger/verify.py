"""Proves the books: derives all that can be derived from the log of requests, and says what differs.

    usage x price -> cost of a request -> its entries -> balances of accounts
                                       -> rollups        what scopes have spent
    rates x time, less outages -> charge for time -> its entries -> the same

Reads some rows at a time, of one moment if the transaction does, and keeps only sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, select, tuple_

from antiphon.ledger import credits, rollups, time_proof, totals
from antiphon.ledger.posting import price_id
from antiphon.ledger.prices import Cost, capped, cost
from antiphon.ledger.requests import Movement, Request
from antiphon.ledger.tally import Finding, Tally
from antiphon.storage.tables import credit, entry, epoch, price, request, usage_rollup
from antiphon.values import Price, Usage

MOST = 1000
"""Findings after which it stops."""
_PAGE = 1000
_CONSUMED = ("settled", "lost")


def verify(connection: Connection) -> list[Finding]:
    """What is wrong with the books: nothing, if they are right to the last nano-dollar."""
    return list(islice(_findings(connection), MOST))


def _findings(connection: Connection) -> Iterator[Finding]:
    tally = Tally()
    yield from _check_requests(connection, tally)
    yield from _check_credits(connection, tally)

    def check_entries(expected: Mapping[str, Mapping[Any, Movement]]) -> Iterator[Finding]:
        entries = _entries(connection, list(expected))
        for of, movements in expected.items():
            yield from _check_entries(of, movements, entries[of], tally)

    yield from time_proof.check(connection, tally, check_entries)
    yield from totals.check(connection, tally)


def _check_requests(connection: Connection, tally: Tally) -> Iterator[Finding]:
    """Each request by itself, and the rollups of each day of a project."""
    prices = {row.id: row for row in connection.execute(select(price))}
    for row in prices.values():
        if price_id(row.snapshot, _price(row)) != row.id:
            yield Finding("the price was changed", row.id)
    still_open = {row.id for row in connection.execute(select(epoch.c.id).where(epoch.c.closed_at.is_(None)))}
    day = _Day("", "", 0)
    for found, entries in _requests(connection):
        if not day.holds(found):
            yield from day.check(connection)
            day = _Day(found.organization_id, found.project_id, found.created_at)
        due = _due(found, _price(prices[found.price_id]))
        yield from _check_request(found, due.total, still_open)
        yield from _check_entries(found.id, found.movements(), entries, tally)
        if found.status == "settled":
            tally.settle(found, due)
            day.rollups.count(found, due)
    yield from day.check(connection)


def _check_request(row: Request, due: int, open_epochs: set[str]) -> Iterator[Finding]:
    """The row by itself; `due` is what its usage costs."""
    if row.status not in ("open", "voided", *_CONSUMED):
        yield Finding("the state is not known", row.id)
    if row.status == "open" and row.epoch not in open_epochs:
        yield Finding("it is open, and its epoch is closed", row.id)
    if (row.status == "open") != (row.ended_at is None):
        yield Finding("its state and the time of its end contradict each other", row.id)
    if row.status not in _CONSUMED and (row.input_tokens or row.output_tokens or row.seconds):
        yield Finding("it has usage, and was not settled", row.id)
    if row.cost != due:
        yield Finding("the cost is not its usage at its price", row.id, row.cost, due)
    period = f"{datetime.fromtimestamp(row.created_at, UTC):%Y-%m}"
    if row.period != period:
        yield Finding("it is billed in another month", row.id, row.period, period)


def _check_entries(
    of: str, expected: Mapping[Any, Movement], entries: Mapping[Any, Movement], tally: Tally
) -> Iterator[Finding]:
    for kind in sorted(expected.keys() | entries.keys()):
        should, does = expected.get(kind), entries.get(kind)
        if does:
            tally.enter(does)
        if should is None:
            yield Finding(f"it has a {kind} that does not belong to its state", of)
        elif does is None:
            yield Finding(f"it lacks its {kind}", of)
        elif does.amount != should.amount:
            yield Finding(f"the amount of its {kind} is wrong", of, does.amount, should.amount)
        elif does != should:
            yield Finding(f"the accounts of its {kind} are wrong", of)


def _check_credits(connection: Connection, tally: Tally) -> Iterator[Finding]:
    after = ""
    while rows := connection.execute(
        select(credit).where(credit.c.id > after).order_by(credit.c.id).limit(_PAGE)
    ).all():
        after = rows[-1].id
        entries = _entries(connection, [row.id for row in rows])
        for row in rows:
            expected = {"credit": credits.movement_of(row.organization_id, row.amount)}
            yield from _check_entries(row.id, expected, entries.get(row.id, {}), tally)


class _Day:
    """The rollups of one day of a project."""

    def __init__(self, organization_id: str, project_id: str, at: int) -> None:
        self._place = (organization_id, project_id)
        self._start = at - at % rollups.DAY
        self.rollups = rollups.Rollups()

    def holds(self, row: Request) -> bool:
        same = self._place == (row.organization_id, row.project_id)
        return same and self._start <= row.created_at < self._start + rollups.DAY

    def check(self, connection: Connection) -> Iterator[Finding]:
        """Compare with what is written."""
        written = {tuple(row[name] for name in rollups.KEY): dict(row) for row in self._written(connection)}
        expected = self.rollups.rows
        for key in sorted(expected.keys() | written.keys()):
            if expected.get(key) != written.get(key):
                yield Finding("the rollup is not the sum of its requests", "/".join(map(str, key)))

    def _written(self, connection: Connection) -> Any:
        columns = usage_rollup.c
        query = select(usage_rollup).where(
            columns.organization_id == self._place[0],
            columns.width.in_(rollups.WIDTHS),
            columns.start >= self._start,
            columns.start < self._start + rollups.DAY,
            columns.project_id == self._place[1],
        )
        return connection.execute(query).mappings()


def _requests(connection: Connection) -> Iterator[tuple[Request, dict[Any, Movement]]]:
    """Every request with its entries, by project and time."""
    place = tuple_(request.c.project_id, request.c.created_at, request.c.id)
    query: Select[Any] = select(request).order_by(*place).limit(_PAGE)
    page = connection.execute(query).all()
    while page:
        entries = _entries(connection, [row.id for row in page])
        for row in page:
            yield Request(**row._mapping), entries.get(row.id, {})
        last = page[-1]
        after = tuple_(last.project_id, last.created_at, last.id)
        page = connection.execute(query.where(place > after)).all()


def _entries(connection: Connection, ids: list[str]) -> dict[str, dict[Any, Movement]]:
    """The entries of some requests or credits, by kind."""
    found: dict[str, dict[Any, Movement]] = {id: {} for id in ids}
    for row in connection.execute(select(entry).where(entry.c.request_id.in_(ids))):
        found[row.request_id][row.kind] = Movement(row.debit, row.credit, row.amount)
    return found


def _due(row: Request, price: Price) -> Cost:
    """What the usage of a request costs, whoever bears it."""
    if row.status not in _CONSUMED:
        return Cost()
    usage = Usage(
        prompt_tokens=row.input_tokens,
        cached_tokens=row.cached_tokens,
        completion_tokens=row.output_tokens,
        seconds=row.seconds,
    )
    return capped(cost(price, usage), row.reserved)


def _price(row: Any) -> Price:
    return Price(
        since=date.fromisoformat(row.since),
        input=row.input,
        cached_input=row.cached_input,
        output=row.output,
        second=row.second,
    )
