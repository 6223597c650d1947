"""The audit log, read: who changed what. `storage.audit` writes it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select, true

from antiphon.access.paging import LARGEST_LIMIT, LIMIT, Page, among, check_cursor
from antiphon.access.tenancy import DEFAULT
from antiphon.errors import InvalidRequest
from antiphon.storage.chain import STARTED
from antiphon.storage.database import Database
from antiphon.storage.tables import api_key, audit_log, member, organization, project


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `effective_at` in unix seconds.

    `actor_key_id` is the key that asked for it, with the member or service account who owns that key;
    all are None for the operator's command line. `payload` holds ids and what was changed.
    """

    id: str
    organization_id: str | None
    """None: the whole installation."""
    type: str
    effective_at: int
    project_id: str | None
    project: str | None
    actor_key_id: str | None
    actor_member_id: str | None
    actor_email: str | None
    actor_service_account_id: str | None
    payload: dict[str, Any]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; what is empty or None is not looked at. Times are unix seconds.

    `actor_ids` are ids of keys, members or service accounts.
    """

    event_types: Collection[str] = ()
    project_ids: Collection[str] = ()
    actor_ids: Collection[str] = ()
    actor_emails: Collection[str] = ()
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None


EVERYTHING = Filter()


class Audit:
    """The audit log of each organization. What concerns the whole installation, too, is shown to the default
    one, which is the operator's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self,
        organization_id: str | None,
        which: Filter = EVERYTHING,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = LIMIT,
    ) -> Page[Event]:
        """Of an organization, or of all and the installation: those that follow `after`, the newest first, or
        those that come just before `before`.

        Both are ids of events; one that does not exist stands where it would be. Raises `InvalidRequest` for
        what cannot be an id, and for a limit outside 1 to 100.
        """
        if not 1 <= limit <= LARGEST_LIMIT:
            raise InvalidRequest(f"'limit' must be between 1 and {LARGEST_LIMIT}.", param="limit")
        check_cursor("after", after)
        check_cursor("before", before)
        conditions = [_seen_by(organization_id), *_conditions(which)]
        if after is not None:
            conditions.append(audit_log.c.id < after)
        if before is not None:
            conditions.append(audit_log.c.id > before)
        backwards = before is not None and after is None
        order = audit_log.c.id.asc() if backwards else audit_log.c.id.desc()
        query = _EVENTS.where(and_(*conditions)).order_by(order).limit(limit + 1)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        events = [_event(row) for row in rows[:limit]]
        return Page(events[::-1] if backwards else events, len(rows) > limit)


_EVENTS = (
    select(
        audit_log.c.id,
        audit_log.c.organization_id,
        audit_log.c.type,
        audit_log.c.effective_at,
        audit_log.c.project_id,
        audit_log.c.actor_key_id,
        audit_log.c.payload,
        project.c.name.label("project"),
        api_key.c.member_id.label("actor_member_id"),
        api_key.c.service_account_id.label("actor_service_account_id"),
        member.c.email.label("actor_email"),
    )
    .select_from(audit_log)
    .outerjoin(project, audit_log.c.project_id == project.c.id)
    .outerjoin(api_key, audit_log.c.actor_key_id == api_key.c.id)
    .outerjoin(member, api_key.c.member_id == member.c.id)
)


def _seen_by(organization_id: str | None) -> ColumnElement[bool]:
    if organization_id is None:
        return true()
    begun = audit_log.c.type != STARTED  # what a chain of the log itself is for
    default = select(organization.c.id).where(organization.c.name == DEFAULT).scalar_subquery()
    of_all = and_(audit_log.c.organization_id.is_(None), default == organization_id, begun)
    return or_(audit_log.c.organization_id == organization_id, of_all)


def _conditions(which: Filter) -> list[ColumnElement[bool]]:
    at = audit_log.c.effective_at
    wanted: list[tuple[Any, ColumnElement[bool]]] = [
        (which.event_types, among(audit_log.c.type, which.event_types)),
        (which.project_ids, among(audit_log.c.project_id, which.project_ids)),
        (
            which.actor_ids,
            or_(
                among(audit_log.c.actor_key_id, which.actor_ids),
                among(api_key.c.member_id, which.actor_ids),
                among(api_key.c.service_account_id, which.actor_ids),
            ),
        ),
        (which.actor_emails, among(member.c.email, (email.lower() for email in which.actor_emails))),
    ]
    bounds = [(which.gt, at.__gt__), (which.gte, at.__ge__), (which.lt, at.__lt__), (which.lte, at.__le__)]
    asked = [condition for value, condition in wanted if value]
    return asked + [compare(value) for value, compare in bounds if value is not None]


def _event(row: Any) -> Event:
    return Event(**{**row._mapping, "payload": msgspec.json.decode(row.payload)})
