"""Proves the charges for time: each follows from what was agreed and from when the replicas were ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from antiphon.ledger import instances, time_charges
from antiphon.ledger.instances import Agreement
from antiphon.ledger.requests import Movement
from antiphon.ledger.tally import Finding, Tally
from antiphon.ledger.time_charges import TimeCharge
from antiphon.storage import sql
from antiphon.storage.tables import time_charge

CheckEntries = Callable[[Mapping[str, Mapping[Any, Movement]]], Iterator[Finding]]
"""Compares the entries of charges, by their ids, with those that they should have, and counts them."""


def check(connection: Connection, tally: Tally, check_entries: CheckEntries) -> Iterator[Finding]:
    """Compare every charge with what it should be."""
    for agreement in instances.agreements(connection):
        query = select(time_charge).where(time_charge.c.instance_id == agreement.id)
        rows = connection.execute(query.order_by(time_charge.c.begins_at)).mappings().all()
        charges = [TimeCharge(**row) for row in rows]
        if charges:
            yield from _check(connection, agreement, charges)
        for some in sql.chunks(charges):
            yield from check_entries({charge.id: charge.movements() for charge in some})
        for charge in charges:
            tally.charge(charge.scopes, charge.cost)


def _check(connection: Connection, agreement: Agreement, charges: list[TimeCharge]) -> Iterator[Finding]:
    begin = agreement.begins_at
    if not agreement.rates or agreement.rates[0].begin != begin:
        yield Finding("the first rate does not begin with its instance", agreement.id)
    times = [(charge.begins_at, charge.ends_at) for charge in charges]
    expected = time_charges.amounts(connection, agreement, times)
    for charge, cost in zip(charges, expected, strict=True):
        if charge.begins_at != begin:
            text = "a charge for time does not begin where the one before ended"
            yield Finding(text, charge.id, charge.begins_at, begin)
        begin = charge.ends_at
        if agreement.ends_at is not None and begin > agreement.ends_at:
            text = "a charge for time goes on beyond its instance"
            yield Finding(text, charge.id, begin, agreement.ends_at)
        if (charge.organization_id, charge.snapshot) != (agreement.organization_id, agreement.snapshot):
            yield Finding("the charge is another's than its instance", charge.id)
        if charge.period != time_charges.month(charge.begins_at):
            yield Finding("it is billed in another month", charge.id)
        if charge.charged != cost.charged:
            text = "the charge is not its time at the agreed rate"
            yield Finding(text, charge.id, charge.charged, cost.charged)
        if charge.credited != cost.credited:
            text = "what is given back is not the share of the outages"
            yield Finding(text, charge.id, charge.credited, cost.credited)
