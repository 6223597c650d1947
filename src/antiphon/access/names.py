"""What projects, keys and people are called: also those that are archived, revoked or gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Select, literal, select

from antiphon.storage import sql
from antiphon.storage.tables import api_key, member, project

_SESSION = "the console, {}"
_QUERIES: Mapping[str, Select[Any]] = {
    "project_id": select(project.c.id, project.c.name, literal("")),
    "user_id": select(member.c.id, member.c.name, literal("")),
    "api_key_id": select(api_key.c.id, api_key.c.name, api_key.c.kind),
}
_TABLES = {"project_id": project, "user_id": member, "api_key_id": api_key}


def names(connection: Connection, organization_id: str, kind: str, ids: Collection[str]) -> dict[str, str]:
    """The names of an organization's own, by id; those of nobody here are left out.

    `kind` is what usage is grouped by: `project_id`, `user_id` or `api_key_id`. Of what is none of them,
    nothing has a name. Two that are called the same are told apart by the end of their ids.
    """
    if kind not in _QUERIES:
        return {}
    found: dict[str, str] = {}
    columns = _TABLES[kind].c
    for some in sql.chunks(set(ids)):
        query = _QUERIES[kind].where(columns.organization_id == organization_id, columns.id.in_(some))
        for id, name, of in connection.execute(query):
            found[id] = _SESSION.format(name) if of == "session" else name
    called = list(found.values())
    return {
        id: f"{name} (…{id[-4:]})" if called.count(name) > 1 else name for id, name in sorted(found.items())
    }
