"""Organizations and what they paid in advance: for the operator. All of this is ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.data_retention import OrganizationDataRetention
from antiphon.wire.admin.lists import ListPage, Name

Dollars = Annotated[
    str,
    Meta(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$", description="US dollars, a decimal number in a string"),
]


class OrganizationCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `prepaid` organization may only spend what it was credited."""

    name: Name
    prepaid: bool = False


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization"] = "organization"
    name: str
    created_at: int
    prepaid: bool
    data_retention: OrganizationDataRetention


class OrganizationList(ListPage, frozen=True, kw_only=True):
    data: list[Organization]


class CreditCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A negative `amount` takes a credit back. Sent again with the same `Idempotency-Key`, it counts once."""

    amount: Dollars
    note: Annotated[str, Meta(max_length=500)] = ""


class Credit(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["organization.credit"] = "organization.credit"
    amount: Dollars
    currency: Literal["usd"] = "usd"
    note: str
    created_at: int


class CreditBalance(msgspec.Struct, frozen=True, kw_only=True):
    """`left` is what of `credited` is neither `charged` nor `held` for requests that run."""

    credited: Dollars
    charged: Dollars
    held: Dollars
    left: Dollars


class CreditList(ListPage, frozen=True, kw_only=True):
    data: list[Credit]
    balance: CreditBalance
