"""`/v1/organization/projects/{project_id}/api_keys`."""

from __future__ import annotations

from typing import Any

from antiphon.access.api_key import ApiKey, Owner, Realm
from antiphon.access.keys import Keys
from antiphon.access.permissions import SCOPES
from antiphon.access.projects import Projects
from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.admin.rotations import read_rotation
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.wire.admin.keys import (
    ProjectApiKey,
    ProjectApiKeyDeleted,
    ProjectApiKeyList,
    ProjectApiKeyListQuery,
    ProjectApiKeyUpdate,
    ProjectKeyOwner,
    RotatedProjectApiKey,
    Rotation,
    ServiceAccountOwner,
    UserOwner,
)

_KEYS = "/v1/organization/projects/{project_id}/api_keys"
_KEY = _KEYS + "/{api_key_id}"


class ProjectKeysApi:
    def __init__(self, keys: Keys, projects: Projects) -> None:
        self._keys = keys
        self._projects = projects

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_KEYS,
                needs="org.read",
                handler=self.list_project_api_keys,
                summary="List the keys of a project, the oldest first. Service accounts make new ones.",
                query=ProjectApiKeyListQuery,
                answers=(Answer(JSON, ProjectApiKeyList),),
            ),
            Route(
                method="GET",
                path=_KEY,
                needs="org.read",
                handler=self.retrieve_project_api_key,
                summary="Show one key of a project, never its value.",
                answers=(Answer(JSON, ProjectApiKey),),
            ),
            Route(
                method="POST",
                path=_KEY,
                needs="project.write",
                handler=self.update_project_api_key,
                summary="Change a key's name, scopes or end.",
                body=ProjectApiKeyUpdate,
                answers=(Answer(JSON, ProjectApiKey),),
            ),
            Route(
                method="DELETE",
                path=_KEY,
                needs="project.write",
                handler=self.delete_project_api_key,
                summary="Revoke a key: every process refuses it within a second.",
                answers=(Answer(JSON, ProjectApiKeyDeleted),),
            ),
            Route(
                method="POST",
                path=_KEY + "/rotate",
                needs="project.write",
                handler=self.rotate_project_api_key,
                summary="Give a key a new value; the old one counts for a while longer.",
                body=Rotation,
                answers=(Answer(JSON, RotatedProjectApiKey),),
            ),
        ]

    async def list_project_api_keys(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ProjectApiKeyListQuery)
        realm, active = await self._project(exchange)
        page = await self._keys.list(realm, after=wanted.after, limit=wanted.limit)
        data = [ProjectApiKey(**_fields(key, active)) for key in page.data]
        if wanted.owner_project_access not in ("any", "active" if active else "inactive"):
            await exchange.answer_json(list_page(ProjectApiKeyList, [], False))
            return
        await exchange.answer_json(list_page(ProjectApiKeyList, data, page.has_more))

    async def retrieve_project_api_key(self, exchange: Exchange) -> None:
        realm, active = await self._project(exchange)
        key = await self._keys.get(realm, exchange.parameters["api_key_id"])
        await exchange.answer_json(ProjectApiKey(**_fields(key, active)))

    async def update_project_api_key(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, ProjectApiKeyUpdate)
        realm, active = await self._project(exchange)
        key = await self._keys.update(
            realm,
            exchange.parameters["api_key_id"],
            name=wanted.name,
            scopes=SCOPES if wanted.scopes == [] else wanted.scopes,
            expires_in_seconds=wanted.expires_in_seconds,
            by=exchange.known_caller,
        )
        await exchange.answer_json(ProjectApiKey(**_fields(key, active)))

    async def delete_project_api_key(self, exchange: Exchange) -> None:
        realm, _ = await self._project(exchange)
        key_id = exchange.parameters["api_key_id"]
        await self._keys.revoke(realm, key_id, by=exchange.known_caller)
        await exchange.answer_json(ProjectApiKeyDeleted(id=key_id))

    async def rotate_project_api_key(self, exchange: Exchange) -> None:
        token, grace = await read_rotation(exchange)
        realm, active = await self._project(exchange)
        key, secret = await self._keys.rotate(
            realm,
            exchange.parameters["api_key_id"],
            token=token,
            grace_seconds=grace,
            by=exchange.known_caller,
        )
        await exchange.answer_json(RotatedProjectApiKey(**_fields(key, active), value=secret))

    async def _project(self, exchange: Exchange) -> tuple[Realm, bool]:
        """Where the keys are, and whether they open anything: those of an archived project do not."""
        organization_id = exchange.known_caller.organization_id
        project = await self._projects.get(organization_id, exchange.parameters["project_id"])
        return Realm(organization_id, project.id), project.archived_at is None


def _fields(key: ApiKey, active: bool) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner": _owner(key.owner),
        "owner_project_access": "active" if active else "inactive",
        "scopes": list(key.scopes),
    }


def _owner(owner: Owner | None) -> ProjectKeyOwner:
    if owner is None:
        return ProjectKeyOwner()
    common: dict[str, Any] = {
        "id": owner.id,
        "name": owner.name,
        "role": owner.role,
        "created_at": owner.created_at,
    }
    if owner.type == "service_account":
        return ProjectKeyOwner(type=owner.type, service_account=ServiceAccountOwner(**common))
    return ProjectKeyOwner(type=owner.type, user=UserOwner(**common, email=owner.email))
