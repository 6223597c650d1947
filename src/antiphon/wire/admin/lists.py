"""What every list of the administration API has in common."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Limit = Annotated[int, Meta(ge=1, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Time = Annotated[int, Meta(ge=0, le=253_402_300_799)]  # the year 9999
LONGEST_SECONDS = 100 * 366 * 86_400
"""A hundred years: longer lives no date can still show."""
Seconds = Annotated[int, Meta(ge=1, le=LONGEST_SECONDS)]


class ListPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page. `first_id` and `last_id` are null where it is empty; the next page is `after` the last."""

    object: Literal["list"] = "list"
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list: at most `limit` entries after the one with the id `after`."""

    after: str | None = None
    limit: Limit = 20
