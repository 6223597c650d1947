"""From minutes to hours and days, again and again from what is there: doing it twice changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from antiphon.status.arithmetic import DAY, HOUR, MINUTE, NOTHING, Counts, Life, Sum, summed
from antiphon.status.counting import SERVICE
from antiphon.status.outcomes import APIS
from antiphon.storage.sql import insert_missing, write
from antiphon.storage.tables import status_incident, status_mark, status_minute, status_span

MINUTES_KEPT = 8 * DAY
HOURS_KEPT = 92 * DAY
LATE_SECONDS = 2 * HOUR
"""So late may counts come, as of a process whose database was away, to be in the sums."""
MOST_HOURS = 48
"""Rolled up in one transaction; the rest in the next ones."""


class Known(msgspec.Struct, frozen=True):
    """Some minutes: the counts of each API, and what is known of the service."""

    counts: Mapping[str, Counts]
    life: Life


def since(connection: Connection) -> dict[str, int]:
    """From which minute on there is anything of each API, `service` among them."""
    query = select(status_mark.c.name, status_mark.c.at).where(status_mark.c.name.like("since/%"))
    return {row.name.partition("/")[2]: row.at for row in connection.execute(query)}


def identity(connection: Connection) -> str:
    """What these figures are known by among those of all installations; empty without any."""
    name = f"since/{SERVICE}"
    return connection.scalar(select(status_mark.c.said).where(status_mark.c.name == name)) or ""


def known(connection: Connection, begin: int, end: int) -> Known:
    """The minutes from `begin` to before `end`."""
    columns = status_minute.c
    query = select(columns.api, columns.start, columns.good, columns.bad)
    counts: dict[str, dict[int, tuple[int, int]]] = {}
    for row in connection.execute(query.where(columns.start >= begin, columns.start < end)):
        counts.setdefault(row.api, {})[row.start] = (row.good, row.bad)
    alive: Collection[int] = counts.pop(SERVICE, {}).keys()
    return Known(counts, Life(alive=alive, planned=_planned(connection, begin, end)))


def roll(connection: Connection, now: int) -> bool:
    """Bring hours and days up to `now` (unix seconds). Whether nothing is left for the next call."""
    _note_since(connection)
    first = since(connection)
    if SERVICE not in first:
        return True
    end = now - now % MINUTE
    rolled = connection.scalar(select(status_mark.c.at).where(status_mark.c.name == "rolled"))
    begin = max(first[SERVICE], 0 if rolled is None else rolled - LATE_SECONDS)
    begin -= begin % HOUR
    end = min(end, begin + MOST_HOURS * HOUR)
    found = known(connection, begin, end)
    hours = [
        _row(HOUR, start, api, summed(found.counts.get(api, {}), found.life, max(start, first[api]), until))
        for api in APIS
        if api in first
        for start in range(begin, end, HOUR)
        if (until := min(start + HOUR, end)) > first[api]
    ]
    _replace(connection, HOUR, begin, end, hours)
    _roll_days(connection, begin - begin % DAY, end)
    insert_missing(connection, status_mark, [{"name": "rolled", "at": end, "said": ""}])
    connection.execute(update(status_mark).where(status_mark.c.name == "rolled").values(at=end))
    return end == now - now % MINUTE


def prune(connection: Connection, now: int) -> None:
    """Remove what is kept in days alone."""
    rolled = connection.scalar(select(status_mark.c.at).where(status_mark.c.name == "rolled")) or 0
    connection.execute(delete(status_minute).where(status_minute.c.start < min(rolled, now) - MINUTES_KEPT))
    old = status_span.c.start < min(rolled, now) - HOURS_KEPT
    connection.execute(delete(status_span).where(status_span.c.width == HOUR, old))


def sums(connection: Connection, width: int, begin: int) -> Iterator[tuple[str, int, Sum]]:
    """API, start and sum of every span of this width from `begin` on."""
    query = select(status_span).where(status_span.c.width == width, status_span.c.start >= begin)
    for row in connection.execute(query.order_by(status_span.c.start)):
        yield row.api, row.start, msgspec.convert(row._mapping, Sum)


def _note_since(connection: Connection) -> None:
    query = select(status_minute.c.api, func.min(status_minute.c.start)).group_by(status_minute.c.api)
    rows = [
        {"name": f"since/{api}", "at": start, "said": uuid.uuid4().hex}
        for api, start in connection.execute(query)
    ]
    insert_missing(connection, status_mark, rows)


def _roll_days(connection: Connection, begin: int, end: int) -> None:
    days: dict[tuple[int, str], Sum] = {}
    for api, start, found in sums(connection, HOUR, begin):
        key = (start - start % DAY, api)
        if key[0] < end:
            days[key] = days.get(key, NOTHING) + found
    _replace(connection, DAY, begin, end, [_row(DAY, *key, found) for key, found in days.items()])


def _row(width: int, start: int, api: str, found: Sum) -> dict[str, int | str]:
    return {"width": width, "start": start, "api": api, **msgspec.structs.asdict(found)}


def _replace(
    connection: Connection, width: int, begin: int, end: int, rows: list[dict[str, int | str]]
) -> None:
    columns = status_span.c
    there = (columns.width == width, columns.start >= begin, columns.start < end)
    connection.execute(delete(status_span).where(*there))
    write(connection, status_span.insert(), rows)


def _planned(connection: Connection, begin: int, end: int) -> list[tuple[int, int]]:
    """The maintenance in a time, as far as it came."""
    columns = status_incident.c
    query = select(columns.begins_at, columns.ends_at, columns.resolved_at).where(
        columns.kind == "maintenance", columns.begins_at < end, columns.ends_at > begin
    )
    return [
        (row.begins_at, row.ends_at if row.resolved_at is None else min(row.ends_at, row.resolved_at))
        for row in connection.execute(query)
    ]
