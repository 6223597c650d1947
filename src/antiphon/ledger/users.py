"""Who uses a snapshot: so that nobody is surprised when it ends."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from antiphon.ledger.rollups import DAY
from antiphon.storage.tables import organization, project, usage_rollup


class User(msgspec.Struct, frozen=True, kw_only=True):
    """What one key of a project used. `last_at` is the beginning (unix seconds) of its last day."""

    organization: str
    project: str
    key_id: str
    requests: int
    last_at: int


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a project used. `last_at` is the beginning (unix seconds) of its last day."""

    organization_id: str
    organization: str
    project_id: str
    project: str
    requests: int
    last_at: int


def users(connection: Connection, snapshot: str, since: int) -> list[User]:
    """Who used a snapshot on the day of `since` (unix seconds) or later, those with most requests first."""
    rows = usage_rollup.c
    requests, last = func.sum(rows.requests), func.max(rows.start)
    owner = func.coalesce(organization.c.name, rows.organization_id)
    place = func.coalesce(project.c.name, rows.project_id)
    query = (
        select(owner, place, rows.key_id, requests, last)
        .outerjoin_from(usage_rollup, organization, organization.c.id == rows.organization_id)
        .outerjoin(project, project.c.id == rows.project_id)
        .where(rows.snapshot == snapshot, rows.width == DAY, rows.start >= since - since % DAY)
        .group_by(owner, place, rows.key_id)
        .order_by(requests.desc(), rows.key_id)
    )
    return [
        User(organization=org, project=name, key_id=key, requests=int(number), last_at=int(day))
        for org, name, key, number, day in connection.execute(query)
    ]


def projects(connection: Connection, snapshot: str, since: int) -> list[Project]:
    """Whose projects used a snapshot on the day of `since` (unix seconds) or later, most requests first."""
    rows = usage_rollup.c
    requests, last = func.sum(rows.requests), func.max(rows.start)
    query = (
        select(
            rows.organization_id,
            func.coalesce(organization.c.name, rows.organization_id),
            rows.project_id,
            func.coalesce(project.c.name, rows.project_id),
            requests,
            last,
        )
        .outerjoin_from(usage_rollup, organization, organization.c.id == rows.organization_id)
        .outerjoin(project, project.c.id == rows.project_id)
        .where(rows.snapshot == snapshot, rows.width == DAY, rows.start >= since - since % DAY)
        .group_by(rows.organization_id, organization.c.name, rows.project_id, project.c.name)
        .order_by(requests.desc(), rows.project_id)
    )
    return [
        Project(
            organization_id=owner,
            organization=owned_by,
            project_id=id,
            project=name,
            requests=int(number),
            last_at=int(day),
        )
        for owner, owned_by, id, name, number, day in connection.execute(query)
    ]
