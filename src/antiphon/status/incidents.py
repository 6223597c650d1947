"""Incidents: opened by alerts or by people, told in notes, resolved; and announced maintenance. For ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from antiphon.errors import InvalidRequest, NotFound
from antiphon.status.outcomes import APIS
from antiphon.storage.ids import ordered_id
from antiphon.storage.sql import insert_missing
from antiphon.storage.tables import status_incident, status_message, status_note

Kind = Literal["alert", "manual", "maintenance"]
Event = Literal["opened", "noted", "escalated", "resolved"]
TITLE_CHARACTERS = 200
NOTE_CHARACTERS = 2000
LONGEST_MAINTENANCE = 7 * 86_400


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """`at` in unix seconds."""

    id: str
    at: int
    event: Event
    text: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Times are unix seconds; `ends_at` is maintenance's alone, as announced. `notes`: the oldest first."""

    id: str
    kind: Kind
    api: str
    """Empty: all of them."""
    severity: str
    title: str
    opened_at: int
    begins_at: int
    ends_at: int | None
    resolved_at: int | None
    notes: Sequence[Note] = ()

    @property
    def updated_at(self) -> int:
        return max((note.at for note in self.notes), default=self.opened_at)

    def goes_on(self, now: int) -> bool:
        """Whether it is not over."""
        return self.resolved_at is None and (self.ends_at is None or now < self.ends_at)


class New(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody opens; with `begins_at` and `ends_at` (unix seconds) it is maintenance."""

    title: str
    text: str
    api: str = ""
    begins_at: int | None = None
    ends_at: int | None = None


def open_by_hand(connection: Connection, new: New, now: int) -> Incident:
    """Raises `InvalidRequest` for what cannot be shown, and for maintenance that is told too late."""
    if new.api and new.api not in APIS:
        raise InvalidRequest(f"'api' must be one of {', '.join(APIS)}, or empty for all.", param="api")
    _check("title", new.title, TITLE_CHARACTERS, lines=False)
    _check("text", new.text, NOTE_CHARACTERS)
    planned = new.begins_at is not None or new.ends_at is not None
    if planned:
        _check_times(new, now)
    row = _row("maintenance" if planned else "manual", new.api, "", new.title, now)
    row |= {"begins_at": new.begins_at if planned else now, "ends_at": new.ends_at}
    connection.execute(insert(status_incident).values(row))
    return _opened(connection, str(row["id"]), new.text, now)


def open_by_alert(
    connection: Connection, api: str, severity: str, title: str, text: str, now: int
) -> Incident | None:
    """The incident of an alert; None if there is one that goes on."""
    row = _row("alert", api, severity, title, now) | {"begins_at": now, "ends_at": None, "going": api}
    insert_missing(connection, status_incident, [row])
    if not connection.scalar(select(status_incident.c.id).where(status_incident.c.id == row["id"])):
        return None
    return _opened(connection, str(row["id"]), text, now)


def escalate(
    connection: Connection, incident: Incident, severity: str, title: str, text: str, now: int
) -> Incident:
    """It has become worse: whoever slept through what it was is told of what it is."""
    change = update(status_incident).where(status_incident.c.id == incident.id)
    connection.execute(change.values(severity=severity, title=title))
    _add_note(connection, incident.id, "escalated", text, now)
    _tell(connection, incident.id, "escalated", now)
    return get(connection, incident.id)


def note(connection: Connection, incident_id: str, text: str, now: int) -> Incident:
    """Raises `NotFound`, and `InvalidRequest` for a text that cannot be shown."""
    _check("text", text, NOTE_CHARACTERS)
    get(connection, incident_id)
    _add_note(connection, incident_id, "noted", text, now)
    return get(connection, incident_id)


def resolve(connection: Connection, incident_id: str, text: str, now: int) -> Incident:
    """Raises as `note` does; `InvalidRequest` for one that is over."""
    _check("text", text, NOTE_CHARACTERS)
    found = get(connection, incident_id)
    change = update(status_incident).where(
        status_incident.c.id == incident_id, status_incident.c.resolved_at.is_(None)
    )
    over = {"resolved_at": max(now, found.begins_at) if found.kind == "maintenance" else now, "going": None}
    if not connection.execute(change.values(over)).rowcount:
        raise InvalidRequest("The incident is resolved already.", param="incident_id")
    _add_note(connection, incident_id, "resolved", text, now)
    _tell(connection, incident_id, "resolved", now)
    return get(connection, incident_id)


def get(connection: Connection, incident_id: str) -> Incident:
    """Raises `NotFound`."""
    row = connection.execute(select(*_COLUMNS).where(status_incident.c.id == incident_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such incident.")
    notes = _notes(connection, [incident_id])
    return Incident(**row._mapping, notes=notes.get(incident_id, ()))


def listed(connection: Connection, *, limit: int, after: str | None = None) -> tuple[list[Incident], bool]:
    """The newest first, those before the id `after`, and whether there are more."""
    query = select(*_COLUMNS).order_by(status_incident.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(status_incident.c.id < after)
    rows = connection.execute(query).all()
    notes = _notes(connection, [row.id for row in rows[:limit]])
    found = [Incident(**row._mapping, notes=notes.get(row.id, ())) for row in rows[:limit]]
    return found, len(rows) > limit


def going(connection: Connection, api: str) -> Incident | None:
    """The incident of an alert of this API that goes on."""
    found = connection.scalar(select(status_incident.c.id).where(status_incident.c.going == api))
    return None if found is None else get(connection, found)


def last_resolved(connection: Connection, api: str) -> int:
    """When the last incident of an alert of this API was resolved; 0: never."""
    columns = status_incident.c
    query = select(func.max(columns.resolved_at)).where(columns.kind == "alert", columns.api == api)
    return connection.scalar(query) or 0


_COLUMNS = [status_incident.c[name] for name in Incident.__struct_fields__ if name != "notes"]


def _row(kind: Kind, api: str, severity: str, title: str, now: int) -> dict[str, str | int | None]:
    return {
        "id": ordered_id("incident_", now),
        "kind": kind,
        "api": api,
        "severity": severity,
        "title": title,
        "opened_at": now,
        "resolved_at": None,
        "going": None,
    }


def _opened(connection: Connection, incident_id: str, text: str, now: int) -> Incident:
    _add_note(connection, incident_id, "opened", text, now)
    _tell(connection, incident_id, "opened", now)
    return get(connection, incident_id)


def _add_note(connection: Connection, incident_id: str, event: Event, text: str, now: int) -> None:
    # A note may come in the second of another one; their ids tell the order.
    made = {"id": ordered_id("note_", now), "incident_id": incident_id, "at": now}
    last = connection.scalar(
        select(func.max(status_note.c.id)).where(status_note.c.incident_id == incident_id)
    )
    if last is not None and made["id"] <= last:
        made["id"] = f"{last}~"
    connection.execute(insert(status_note).values(made | {"event": event, "text": text}))


def _tell(connection: Connection, incident_id: str, event: Event, now: int) -> None:
    row = {"id": ordered_id("msg_", now), "incident_id": incident_id, "event": event, "created_at": now}
    connection.execute(insert(status_message).values(row | {"attempts": 0, "next_at": now}))


def _notes(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[Note]]:
    found: dict[str, list[Note]] = {}
    query = select(status_note).where(status_note.c.incident_id.in_(ids)).order_by(status_note.c.id)
    for row in connection.execute(query):
        made = Note(id=row.id, at=row.at, event=row.event, text=row.text)
        found.setdefault(row.incident_id, []).append(made)
    return found


def _check(param: str, text: str, characters: int, *, lines: bool = True) -> None:
    shown = text.replace("\n", "") if lines else text
    if not text.strip() or len(text) > characters or not shown.isprintable():
        raise InvalidRequest(
            f"'{param}' must be 1 to {characters} characters that can be printed.", param=param
        )


def _check_times(new: New, now: int) -> None:
    if new.begins_at is None or new.ends_at is None:
        raise InvalidRequest("Maintenance needs 'begins_at' and 'ends_at'.", param="begins_at")
    if new.begins_at <= now:
        raise InvalidRequest(
            "'begins_at' must be to come: maintenance counts only if it is announced before it begins.",
            param="begins_at",
        )
    if not 0 < new.ends_at - new.begins_at <= LONGEST_MAINTENANCE:
        raise InvalidRequest(
            "'ends_at' must be after 'begins_at', and at most 7 days later.", param="ends_at"
        )
    if new.api:
        raise InvalidRequest("Maintenance is of all APIs: leave 'api' out.", param="api")
