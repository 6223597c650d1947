"""`/v1/organization/projects/{project_id}/service_accounts`."""

from __future__ import annotations

from typing import Any

from antiphon.access import service_accounts
from antiphon.access.api_key import ApiKey, NewKey, Realm
from antiphon.access.keys import Keys
from antiphon.access.permissions import SCOPES
from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.wire.admin.lists import ListQuery
from antiphon.wire.admin.service_accounts import (
    CreatedServiceAccount,
    ServiceAccount,
    ServiceAccountCreate,
    ServiceAccountDeleted,
    ServiceAccountKey,
    ServiceAccountKeyCreate,
    ServiceAccountList,
    ServiceAccountUpdate,
)

_ACCOUNTS = "/v1/organization/projects/{project_id}/service_accounts"
_ACCOUNT = _ACCOUNTS + "/{service_account_id}"


class ServiceAccountsApi:
    def __init__(self, accounts: service_accounts.ServiceAccounts, keys: Keys) -> None:
        self._accounts = accounts
        self._keys = keys

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=_ACCOUNTS,
                needs="project.write",
                handler=self.create_service_account,
                summary="Make a service account and its first key, whose value is shown this once.",
                body=ServiceAccountCreate,
                answers=(Answer(JSON, CreatedServiceAccount),),
            ),
            Route(
                method="GET",
                path=_ACCOUNTS,
                needs="org.read",
                handler=self.list_service_accounts,
                summary="List the service accounts of a project, the oldest first.",
                query=ListQuery,
                answers=(Answer(JSON, ServiceAccountList),),
            ),
            Route(
                method="GET",
                path=_ACCOUNT,
                needs="org.read",
                handler=self.retrieve_service_account,
                summary="Show one service account.",
                answers=(Answer(JSON, ServiceAccount),),
            ),
            Route(
                method="POST",
                path=_ACCOUNT,
                needs="project.write",
                handler=self.update_service_account,
                summary="Change a service account's name or role.",
                body=ServiceAccountUpdate,
                answers=(Answer(JSON, ServiceAccount),),
            ),
            Route(
                method="DELETE",
                path=_ACCOUNT,
                needs="project.write",
                handler=self.delete_service_account,
                summary="Delete a service account, and revoke its keys.",
                answers=(Answer(JSON, ServiceAccountDeleted),),
            ),
            Route(
                method="POST",
                path=_ACCOUNT + "/api_keys",
                needs="project.write",
                handler=self.create_service_account_api_key,
                summary="Make another key of a service account; its value is shown this once.",
                body=ServiceAccountKeyCreate,
                answers=(Answer(JSON, ServiceAccountKey),),
            ),
        ]

    async def create_service_account(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, ServiceAccountCreate)
        made, key = await self._accounts.create(
            *_project(exchange),
            wanted.name,
            with_key=not wanted.create_service_account_only,
            expires_in_seconds=wanted.expires_in_seconds,
            by=exchange.known_caller,
        )
        await exchange.answer_json(
            CreatedServiceAccount(**_fields(made), api_key=None if key is None else _with_value(*key))
        )

    async def list_service_accounts(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ListQuery)
        page = await self._accounts.list(*_project(exchange), after=wanted.after, limit=wanted.limit)
        data = [ServiceAccount(**_fields(account)) for account in page.data]
        await exchange.answer_json(list_page(ServiceAccountList, data, page.has_more))

    async def retrieve_service_account(self, exchange: Exchange) -> None:
        found = await self._accounts.get(*_project(exchange), exchange.parameters["service_account_id"])
        await exchange.answer_json(ServiceAccount(**_fields(found)))

    async def update_service_account(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, ServiceAccountUpdate)
        changed = await self._accounts.update(
            *_project(exchange),
            exchange.parameters["service_account_id"],
            name=wanted.name,
            role=wanted.role,
            by=exchange.known_caller,
        )
        await exchange.answer_json(ServiceAccount(**_fields(changed)))

    async def delete_service_account(self, exchange: Exchange) -> None:
        account_id = exchange.parameters["service_account_id"]
        await self._accounts.delete(*_project(exchange), account_id, by=exchange.known_caller)
        await exchange.answer_json(ServiceAccountDeleted(id=account_id))

    async def create_service_account_api_key(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, ServiceAccountKeyCreate)
        account = await self._accounts.get(*_project(exchange), exchange.parameters["service_account_id"])
        new = NewKey(
            realm=Realm(*_project(exchange)),
            name=wanted.name or account.name,
            scopes=wanted.scopes or SCOPES,
            service_account_id=account.id,
            expires_in_seconds=wanted.expires_in_seconds,
        )
        await exchange.answer_json(_with_value(*await self._keys.create(new, by=exchange.known_caller)))


def _project(exchange: Exchange) -> tuple[str, str]:
    return exchange.known_caller.organization_id, exchange.parameters["project_id"]


def _fields(account: service_accounts.ServiceAccount) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
    }


def _with_value(key: ApiKey, secret: str) -> ServiceAccountKey:
    return ServiceAccountKey(
        id=key.id, name=key.name, value=secret, created_at=key.created_at, expires_at=key.expires_at
    )
