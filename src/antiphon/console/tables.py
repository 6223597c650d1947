"""Tables: long ones page by page, and those that people take along as CSV, in which nothing is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from antiphon.api.exchange import Exchange

ROWS = 50
"""Of one page of a list that grows without an end."""
_PLACES = ("after", "before")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Around(msgspec.Struct, frozen=True):
    """Links to the pages beside one of a list, the newest first; empty where there is none."""

    newer: str = ""
    older: str = ""


def around(path: str, asked: Mapping[str, str], ids: Sequence[str], more: bool) -> Around:
    """The links beside the page with the rows of these `ids`; `more`: whether others follow on its way.

    `asked` is what the page was asked for: filters, which the links keep, and its place, `after` or `before`.
    """
    back = bool(asked.get("before")) and not asked.get("after")
    newer, older = (more, True) if back else (bool(asked.get("after")), more)
    if not ids:
        return Around()
    return Around(
        newer=link(path, asked, before=ids[0]) if newer else "",
        older=link(path, asked, after=ids[-1]) if older else "",
    )


def link(path: str, asked: Mapping[str, str], **place: str) -> str:
    """The address of another page of a list, with the same filters."""
    kept = {name: value for name, value in asked.items() if value and name not in _PLACES}
    return f"{path}?{urlencode(kept | place)}"


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
