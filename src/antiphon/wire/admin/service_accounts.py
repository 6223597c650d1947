"""Service accounts of a project, and their keys."""

from __future__ import annotations

from typing import Literal

import msgspec

from antiphon.wire.admin.lists import ListPage, Name, Seconds

AccountRole = Literal["member", "owner"]


class ServiceAccountCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: Seconds | None = None


class ServiceAccountUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    role: AccountRole | None = None


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: AccountRole
    created_at: int


class ServiceAccountKeyCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`scopes` are some of chat, audio and models; all of them if left out or empty."""

    name: Name | None = None
    scopes: list[str] = []
    expires_in_seconds: Seconds | None = None


class ServiceAccountKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is answered when it is made: `value` is shown this once."""

    id: str
    object: Literal["organization.project.service_account.api_key"] = (
        "organization.project.service_account.api_key"
    )
    name: str
    value: str
    created_at: int
    expires_at: int | None


class CreatedServiceAccount(ServiceAccount, frozen=True, kw_only=True):
    api_key: ServiceAccountKey | None


class ServiceAccountList(ListPage, frozen=True, kw_only=True):
    data: list[ServiceAccount]


class ServiceAccountDeleted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.project.service_account.deleted"] = (
        "organization.project.service_account.deleted"
    )
    deleted: Literal[True] = True
