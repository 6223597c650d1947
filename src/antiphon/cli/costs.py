"""`antiphon costs`: what an organization has to pay, by day or hour."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli import reports
from antiphon.cli.administration import Csv, Organization
from antiphon.cli.options import ExistingHome, Json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from antiphon.ledger.buckets import Page, Query
    from antiphon.ledger.usage import CostResult

_ITEM = {"line_item": "Line item", "quantity": "Quantity", "unit": "Unit"}
_AMOUNT = {"amount": "US dollars"}


def costs(
    org: Organization = "default",
    project: reports.Project = "",
    model: reports.Model = "",
    first: reports.From = "",
    last: reports.To = "",
    by: reports.Length = reports.By.DAY,
    group_by: reports.Groups = None,
    items: Annotated[bool, typer.Option("--items", help="Tell input, output and sound apart.")] = False,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """Show what an organization has to pay, in US dollars to the last nano-dollar, in UTC."""
    from antiphon.ledger.usage import dollars

    groups = tuple(group_by or ())
    asked = reports.Asked(
        org=org, project=project, model=model, first=first, last=last, by=by, groups=groups, home=home
    )
    report = asyncio.run(reports.read(asked, _by_item if items else _ask))
    rows: list[dict[str, Any]] = [
        {"start": reports.when(bucket.start, by)}
        | reports.group(asked, report, result)
        | ({name: getattr(result, name) for name in _ITEM} if items else {})
        | {"amount": f"{dollars(result.amount):f}"}
        for bucket in report.buckets
        for result in bucket.results
    ]
    reports.show(asked, rows, (_ITEM if items else {}) | _AMOUNT, as_json=as_json, as_csv=as_csv)


def _ask(connection: Connection, query: Query) -> Page[CostResult]:
    from antiphon.ledger.usage import costs as page

    return page(connection, query)


def _by_item(connection: Connection, query: Query) -> Page[CostResult]:
    from msgspec.structs import replace

    return _ask(connection, replace(query, group_by=(*query.group_by, "line_item")))
