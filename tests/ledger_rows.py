"""Records and rows for tests of the ledger's database side.

A token of input costs 1 nano-dollar, one of output 2, a second of sound 7.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from antiphon.ledger import epochs, leases
from antiphon.ledger.records import Reserve, Settle, Void
from antiphon.storage import tables
from antiphon.values import Price

NOVEMBER = 1_793_534_400
"""1 November 2026, 12:00 UTC."""
PRICE = Price(since=date(2026, 1, 1), input=1000, cached_input=500, output=2000, second=7)
EVERYTHING = (
    tables.epoch,
    tables.price,
    tables.request,
    tables.entry,
    tables.account,
    tables.spending,
    tables.allowance,
    tables.usage_rollup,
)


def found(connection: Connection, epoch_id: str = "epoch_1") -> None:
    """Two organizations with a project each, and an open epoch."""
    for number in (1, 2):
        organization = {"id": f"org-{number}", "name": f"o{number}", "created_at": 0, "prepaid": False}
        connection.execute(insert(tables.organization).values(organization))
        project = {"id": f"proj_{number}", "organization_id": f"org-{number}", "name": "p", "created_at": 0}
        connection.execute(insert(tables.project).values(project))
    epochs.open_epoch(connection, epoch_id, "here", NOVEMBER)


def fund(connection: Connection, amount: int = 100_000, epoch_id: str = "epoch_1") -> None:
    """Lease enough of everything that requests of the first organization draw upon."""
    for scope in ("org-1", "proj_1"):
        leases.lease(connection, epoch_id, scope, "2026-11", amount, amount, NOVEMBER)


def reserve(seq: int, name: str = "req_1", amount: int = 1000, **changes: Any) -> Reserve:
    values = {
        "organization_id": "org-1",
        "project_id": "proj_1",
        "key_id": "key_1",
        "member_id": "user-1",
        "task": "chat",
        "snapshot": "model-1",
        "price": PRICE,
        "period": "2026-11",
        "prepaid": False,
        "created_at": NOVEMBER,
    } | changes
    return Reserve(seq=seq, request_id=name, amount=amount, **values)


def settle(
    seq: int, name: str = "req_1", input: int = 100, output: int = 50, seconds: int = 0, **more: Any
) -> Settle:
    return Settle(
        seq=seq,
        request_id=name,
        input_tokens=input,
        cached_tokens=0,
        output_tokens=output,
        seconds=seconds,
        input_cost=input,
        output_cost=2 * output,
        audio_cost=7 * seconds,
        ended_at=NOVEMBER + 5,
        **more,
    )


def void(seq: int, name: str = "req_1") -> Void:
    return Void(seq=seq, request_id=name, reason="EngineFailed", ended_at=NOVEMBER + 5)


def rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    """Every row, in the order of its key."""
    ordered = select(table).order_by(*table.primary_key)
    return [dict(row) for row in connection.execute(ordered).mappings()]


def everything(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """All that posting writes."""
    return {table.name: rows(connection, table) for table in EVERYTHING}


def balances(connection: Connection) -> dict[str, int]:
    """The accounts that are not at nothing."""
    return {row["name"]: row["balance"] for row in rows(connection, tables.account) if row["balance"]}


def standing(connection: Connection) -> dict[str, tuple[int, int]]:
    """What is charged and leased of each scope."""
    return {row["scope"]: (row["charged"], row["leased"]) for row in rows(connection, tables.spending)}
