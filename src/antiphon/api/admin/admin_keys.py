"""`/v1/organization/admin_api_keys`."""

from __future__ import annotations

from typing import Any

from antiphon.access.api_key import ApiKey, NewKey, Realm
from antiphon.access.keys import Keys
from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.admin.rotations import read_rotation
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.wire.admin.keys import (
    AdminApiKey,
    AdminApiKeyCreate,
    AdminApiKeyDeleted,
    AdminApiKeyList,
    AdminApiKeyListQuery,
    AdminApiKeyWithValue,
    AdminKeyOwner,
    Rotation,
)

_KEYS = "/v1/organization/admin_api_keys"
_KEY = _KEYS + "/{key_id}"


class AdminKeysApi:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=_KEYS,
                needs="org.write",
                handler=self.create_admin_api_key,
                summary="Make an admin key; its value is shown this once.",
                body=AdminApiKeyCreate,
                answers=(Answer(JSON, AdminApiKeyWithValue),),
            ),
            Route(
                method="GET",
                path=_KEYS,
                needs="org.read",
                handler=self.list_admin_api_keys,
                summary="List the admin keys of the organization.",
                query=AdminApiKeyListQuery,
                answers=(Answer(JSON, AdminApiKeyList),),
            ),
            Route(
                method="GET",
                path=_KEY,
                needs="org.read",
                handler=self.retrieve_admin_api_key,
                summary="Show one admin key, never its value.",
                answers=(Answer(JSON, AdminApiKey),),
            ),
            Route(
                method="DELETE",
                path=_KEY,
                needs="org.write",
                handler=self.delete_admin_api_key,
                summary="Revoke an admin key: every process refuses it within a second.",
                answers=(Answer(JSON, AdminApiKeyDeleted),),
            ),
            Route(
                method="POST",
                path=_KEY + "/rotate",
                needs="org.write",
                handler=self.rotate_admin_api_key,
                summary="Give an admin key a new value; the old one counts for a while longer.",
                body=Rotation,
                answers=(Answer(JSON, AdminApiKeyWithValue),),
            ),
        ]

    async def create_admin_api_key(self, exchange: Exchange) -> None:
        """The new key belongs to whom the key that makes it belongs to."""
        wanted, caller = await read_body(exchange, AdminApiKeyCreate), exchange.known_caller
        new = NewKey(
            realm=_realm(exchange),
            name=wanted.name,
            role=wanted.role,
            member_id=caller.member_id,
            expires_in_seconds=wanted.expires_in_seconds,
        )
        key, secret = await self._keys.create(new, by=caller)
        await exchange.answer_json(AdminApiKeyWithValue(**_fields(key), value=secret))

    async def list_admin_api_keys(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, AdminApiKeyListQuery)
        page = await self._keys.list(
            _realm(exchange), after=wanted.after, limit=wanted.limit, order=wanted.order
        )
        data = [AdminApiKey(**_fields(key)) for key in page.data]
        await exchange.answer_json(list_page(AdminApiKeyList, data, page.has_more))

    async def retrieve_admin_api_key(self, exchange: Exchange) -> None:
        key = await self._keys.get(_realm(exchange), exchange.parameters["key_id"])
        await exchange.answer_json(AdminApiKey(**_fields(key)))

    async def delete_admin_api_key(self, exchange: Exchange) -> None:
        key_id = exchange.parameters["key_id"]
        await self._keys.revoke(_realm(exchange), key_id, by=exchange.known_caller)
        await exchange.answer_json(AdminApiKeyDeleted(id=key_id))

    async def rotate_admin_api_key(self, exchange: Exchange) -> None:
        token, grace = await read_rotation(exchange)
        key, secret = await self._keys.rotate(
            _realm(exchange),
            exchange.parameters["key_id"],
            token=token,
            grace_seconds=grace,
            by=exchange.known_caller,
        )
        await exchange.answer_json(AdminApiKeyWithValue(**_fields(key), value=secret))


def _realm(exchange: Exchange) -> Realm:
    return Realm(exchange.known_caller.organization_id)


def _fields(key: ApiKey) -> dict[str, Any]:
    owner = AdminKeyOwner()
    if key.owner is not None:
        owner = AdminKeyOwner(
            type="user",
            object="organization.user",
            id=key.owner.id,
            name=key.owner.name,
            role=key.owner.role,
            created_at=key.owner.created_at,
        )
    return {
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "owner": owner,
        "role": key.role,
    }
