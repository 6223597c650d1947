"""Everything that the status page shows, read in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, select

from antiphon.status import incidents
from antiphon.status.arithmetic import (
    BUDGET_DAYS,
    DAY,
    HOUR,
    MILLION,
    MINUTE,
    NOTHING,
    Sum,
    budget,
    budget_left,
    summed,
    uptime,
)
from antiphon.status.outcomes import APIS
from antiphon.status.rolling import Known, identity, known, since, sums
from antiphon.status.watching import Burn, Watched
from antiphon.storage.tables import status_mark, status_probe
from antiphon.wire import status as wire

DAYS = 90
INCIDENTS = 25
NOW_MINUTES = 5
"""What the state of this moment is told by."""
IDLE_MINUTES = 60
"""Without a request for so long an API is idle: it is not known whether it would answer."""
DEGRADED = MILLION // 50
"""Lost of the last minutes, in millionths of each: more is shown as degraded, more than half as an outage."""


def report(connection: Connection, objective: float, now: int) -> wire.Status:
    """As of `now` (unix seconds)."""
    first = since(connection)
    # The minute that runs is not over, and what was counted in the last seconds is not written.
    end = now - now % MINUTE
    recent = known(connection, end - IDLE_MINUTES * MINUTE, end + MINUTE)
    watched = _watched(connection)
    burns = {one.api: one for one in watched.burns} if watched else {}
    spans = _Spans(connection, now)
    probes = {row.api: _probe(row) for row in connection.execute(select(status_probe))}
    found = [
        _api(api, first.get(api), recent, end, objective, spans, burns.get(api), probes.get(api))
        for api in APIS
    ]
    shown, _ = incidents.listed(connection, limit=INCIDENTS)
    return wire.Status(
        id=identity(connection),
        at=now,
        state=_worst([one.state for one in found]),
        objective=objective,
        watched_at=watched.at if watched else None,
        apis=found,
        incidents=[incident(one) for one in shown],
    )


def incident(found: incidents.Incident) -> wire.Incident:
    """As it is shown."""
    return wire.Incident(
        id=found.id,
        kind=found.kind,
        api=found.api or None,
        severity=found.severity or None,
        title=found.title,
        opened_at=found.opened_at,
        begins_at=found.begins_at,
        ends_at=found.ends_at,
        resolved_at=found.resolved_at,
        notes=[wire.IncidentNote(at=note.at, event=note.event, text=note.text) for note in found.notes],
    )


class _Spans:
    """Hours and days of all APIs, as far as they are shown."""

    def __init__(self, connection: Connection, now: int) -> None:
        self.today = now - now % DAY
        self._hours: dict[tuple[str, int], Sum] = {}
        self._days: dict[tuple[str, int], Sum] = {}
        self._now = now
        for api, start, found in sums(connection, HOUR, now - 7 * DAY):
            self._hours[api, start] = found
        for api, start, found in sums(connection, DAY, self.today - (DAYS - 1) * DAY):
            self._days[api, start] = found

    def hours(self, api: str, seconds: int) -> Sum:
        return self._added(self._hours, api, self._now - seconds)

    def days(self, api: str, number: int) -> Sum:
        return self._added(self._days, api, self.today - (number - 1) * DAY)

    def each_day(self, api: str) -> list[wire.StatusDay]:
        """The last 90, the oldest first."""
        starts = range(self.today - (DAYS - 1) * DAY, self.today + DAY, DAY)
        return [_day(start, self._days.get((api, start), NOTHING)) for start in starts]

    @staticmethod
    def _added(spans: dict[tuple[str, int], Sum], api: str, begin: int) -> Sum:
        total = NOTHING
        for (name, start), found in spans.items():
            if name == api and start >= begin:
                total += found
        return total


def _api(
    api: str,
    first: int | None,
    recent: Known,
    end: int,
    objective: float,
    spans: _Spans,
    burnt: Burn | None,
    probe: wire.StatusProbe | None,
) -> wire.StatusApi:
    month = spans.days(api, BUDGET_DAYS)
    windows = {
        "24h": spans.hours(api, DAY),
        "7d": spans.hours(api, 7 * DAY),
        "30d": month,
        "90d": spans.days(api, DAYS),
    }
    minutes = budget(objective) * BUDGET_DAYS * DAY // MINUTE / MILLION
    return wire.StatusApi(
        name=api,
        state="no_data" if first is None else _state(api, max(first, 0), recent, end),
        since=first,
        uptime={name: uptime(found) for name, found in windows.items()},
        budget=wire.StatusBudget(
            minutes=round(minutes, 2),
            lost_minutes=round(month.lost / MILLION, 2),
            left=budget_left(month, objective),
        )
        if month.known
        else None,
        burn_rates=burnt.rates if burnt else {},
        alert=(burnt.alert or None) if burnt else None,
        probe=probe,
        days=spans.each_day(api),
    )


def _state(api: str, first: int, recent: Known, end: int) -> wire.State:
    if recent.life.excused(end):
        return "maintenance"
    counts = recent.counts.get(api, {})
    now = summed(counts, recent.life, max(first, end - NOW_MINUTES * MINUTE), end)
    if not now.known:
        hour = summed(counts, recent.life, max(first, end - IDLE_MINUTES * MINUTE), end)
        return "operational" if hour.known and not hour.bad and not hour.down else "idle"
    if 2 * now.lost > now.known * MILLION:
        return "outage"
    return "degraded" if now.lost > now.known * DEGRADED else "operational"


def _worst(states: Sequence[wire.State]) -> wire.State:
    order: tuple[wire.State, ...] = ("maintenance", "outage", "degraded", "operational", "idle")
    return next((state for state in order if state in states), "no_data")


def _day(start: int, found: Sum) -> wire.StatusDay:
    return wire.StatusDay(
        date=f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d}",
        uptime=uptime(found),
        lost_minutes=round(found.lost / MILLION, 2),
        down_minutes=found.down,
        requests=found.good + found.bad,
    )


def _probe(row: object) -> wire.StatusProbe:
    return msgspec.convert(row, wire.StatusProbe, from_attributes=True)


def _watched(connection: Connection) -> Watched | None:
    said = connection.scalar(select(status_mark.c.said).where(status_mark.c.name == "watched"))
    return None if said is None else msgspec.json.decode(said, type=Watched)
