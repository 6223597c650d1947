"""`/v1/operator/organizations`: organizations and their credits, for the operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from antiphon.access import organizations
from antiphon.api import query
from antiphon.api.admin import data_retention
from antiphon.api.admin.answers import list_page, name_of, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.ledger import credits
from antiphon.ledger.usage import dollars
from antiphon.operations.crediting import credit
from antiphon.privacy.policies import Policies
from antiphon.storage.database import Database
from antiphon.wire.admin.lists import ListQuery
from antiphon.wire.admin.operator import (
    Credit,
    CreditBalance,
    CreditCreate,
    CreditList,
    Organization,
    OrganizationCreate,
    OrganizationList,
)

_ORGANIZATIONS = "/v1/operator/organizations"
_ORGANIZATION = _ORGANIZATIONS + "/{organization_id}"


class OperatorApi:
    """`clock` in unix seconds."""

    def __init__(
        self,
        service: organizations.Organizations,
        policies: Policies,
        database: Database,
        clock: Callable[[], float],
    ) -> None:
        self._organizations = service
        self._policies = policies
        self._database = database
        self._clock = clock

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=_ORGANIZATIONS,
                needs="operator",
                handler=self.create_organization,
                summary="Make an organization.",
                body=OrganizationCreate,
                answers=(Answer(JSON, Organization),),
            ),
            Route(
                method="GET",
                path=_ORGANIZATIONS,
                needs="operator",
                handler=self.list_organizations,
                summary="List every organization, the oldest first.",
                query=ListQuery,
                answers=(Answer(JSON, OrganizationList),),
            ),
            Route(
                method="GET",
                path=_ORGANIZATION,
                needs="operator",
                handler=self.retrieve_organization,
                summary="Show one organization.",
                answers=(Answer(JSON, Organization),),
            ),
            Route(
                method="POST",
                path=_ORGANIZATION + "/credits",
                needs="operator",
                handler=self.create_credit,
                summary="Add to the balance of an organization, or take from it.",
                body=CreditCreate,
                answers=(Answer(JSON, Credit),),
            ),
            Route(
                method="GET",
                path=_ORGANIZATION + "/credits",
                needs="operator",
                handler=self.list_credits,
                summary="List the credits of an organization, the oldest first, and what is left of them.",
                query=ListQuery,
                answers=(Answer(JSON, CreditList),),
            ),
        ]

    async def create_organization(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, OrganizationCreate)
        made = await self._organizations.create(wanted.name, prepaid=wanted.prepaid, by=exchange.known_caller)
        [shown] = await self._shown([made])
        await exchange.answer_json(shown)

    async def list_organizations(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ListQuery)
        page = await self._organizations.list(after=wanted.after, limit=wanted.limit)
        data = await self._shown(page.data)
        await exchange.answer_json(list_page(OrganizationList, data, page.has_more))

    async def retrieve_organization(self, exchange: Exchange) -> None:
        [shown] = await self._shown([await self._organization(exchange)])
        await exchange.answer_json(shown)

    async def create_credit(self, exchange: Exchange) -> None:
        wanted, name = await read_body(exchange, CreditCreate), name_of(exchange)
        organization = await self._organization(exchange)
        made = await credit(
            self._database,
            organization.id,
            wanted.amount,
            wanted.note,
            name=name,
            by=exchange.known_caller,
            now=self._clock(),
        )
        await exchange.answer_json(_credit(made))

    async def list_credits(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ListQuery)
        organization = await self._organization(exchange)
        async with self._database.connect() as connection:
            found, more = await connection.run_sync(
                partial(credits.listed, after=wanted.after, limit=wanted.limit), organization.id
            )
            balance = await connection.run_sync(credits.balance, organization.id)
        shown = CreditBalance(
            credited=_dollars(balance.credited),
            charged=_dollars(balance.charged),
            held=_dollars(balance.leased),
            left=_dollars(balance.left),
        )
        data = [_credit(credit) for credit in found]
        await exchange.answer_json(list_page(CreditList, data, more, balance=shown))

    async def _organization(self, exchange: Exchange) -> organizations.Organization:
        return await self._organizations.get(exchange.parameters["organization_id"])

    async def _shown(self, found: Sequence[organizations.Organization]) -> list[Organization]:
        policies = await self._policies.of_organizations([one.id for one in found])
        return [
            Organization(
                id=one.id,
                name=one.name,
                created_at=one.created_at,
                prepaid=one.prepaid,
                data_retention=data_retention.shown(policies[one.id]),
            )
            for one in found
        ]


def _credit(credit: credits.Credit) -> Credit:
    return Credit(
        id=credit.id, amount=_dollars(credit.amount), note=credit.note, created_at=credit.created_at
    )


def _dollars(nano: int) -> str:
    return f"{dollars(nano):f}"
