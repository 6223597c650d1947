"""`antiphon usage`: what an organization used, by day or hour."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from antiphon.cli import reports
from antiphon.cli.administration import Csv, Organization
from antiphon.cli.options import ExistingHome, Json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from antiphon.ledger.buckets import Page, Query
    from antiphon.ledger.usage import UsageResult

_COLUMNS = {
    "requests": "Requests",
    "input_tokens": "Input tokens",
    "cached_tokens": "of these cached",
    "output_tokens": "Output tokens",
    "seconds": "Seconds of sound",
}


def usage(
    org: Organization = "default",
    project: reports.Project = "",
    model: reports.Model = "",
    first: reports.From = "",
    last: reports.To = "",
    by: reports.Length = reports.By.DAY,
    group_by: reports.Groups = None,
    as_json: Json = False,
    as_csv: Csv = False,
    home: ExistingHome = None,
) -> None:
    """Show what an organization used: requests, tokens and seconds of sound that were charged, in UTC."""
    groups = tuple(group_by or ())
    asked = reports.Asked(
        org=org, project=project, model=model, first=first, last=last, by=by, groups=groups, home=home
    )
    report = asyncio.run(reports.read(asked, _ask))
    rows: list[dict[str, Any]] = [
        {"start": reports.when(bucket.start, by)}
        | reports.group(asked, report, result)
        | {name: getattr(result, name) for name in _COLUMNS}
        for bucket in report.buckets
        for result in bucket.results
    ]
    reports.show(asked, rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


def _ask(connection: Connection, query: Query) -> Page[UsageResult]:
    from antiphon.ledger.usage import usage as page

    return page(connection, query)
