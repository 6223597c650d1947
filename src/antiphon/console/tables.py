"""Tables that people take with them: CSV, which no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from antiphon.api.exchange import Exchange

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(cell: object) -> object:
    """What somebody else wrote, so that it stays text wherever it is opened; numbers are as they are."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA) else cell


async def answer_csv(
    exchange: Exchange, name: str, headings: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Answer with a table to be kept as the file `name`."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(headings)
    lines.writerows([harmless(cell) for cell in row] for row in rows)
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    await exchange.answer(written.getvalue().encode(), "text/csv; charset=utf-8", headers=headers)
