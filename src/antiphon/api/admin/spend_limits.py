"""`/v1/organization/spend_limit` and `/v1/organization/projects/{project_id}/spend_limit`."""

from __future__ import annotations

from antiphon.admission.store import SpendLimits
from antiphon.api.admin.answers import read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Handler, Route
from antiphon.errors import NotFound
from antiphon.wire.admin.limits import SpendLimit, SpendLimitDeleted, SpendLimitUpdate

_ORGANIZATION = "/v1/organization/spend_limit"
_PROJECT = "/v1/organization/projects/{project_id}/spend_limit"


class SpendLimitsApi:
    """Monthly limits, which the ledger enforces; the prepaid balance is another matter."""

    def __init__(self, limits: SpendLimits) -> None:
        self._limits = limits

    def rows(self) -> list[Route]:
        return [
            *_rows(
                _ORGANIZATION,
                "the organization",
                (self.retrieve_spend_limit, self.update_spend_limit, self.delete_spend_limit),
            ),
            *_rows(
                _PROJECT,
                "a project",
                (
                    self.retrieve_project_spend_limit,
                    self.update_project_spend_limit,
                    self.delete_project_spend_limit,
                ),
            ),
        ]

    async def retrieve_spend_limit(self, exchange: Exchange) -> None:
        await self._retrieve(exchange, None)

    async def update_spend_limit(self, exchange: Exchange) -> None:
        await self._update(exchange, None)

    async def delete_spend_limit(self, exchange: Exchange) -> None:
        await self._delete(exchange, None)

    async def retrieve_project_spend_limit(self, exchange: Exchange) -> None:
        await self._retrieve(exchange, exchange.parameters["project_id"])

    async def update_project_spend_limit(self, exchange: Exchange) -> None:
        await self._update(exchange, exchange.parameters["project_id"])

    async def delete_project_spend_limit(self, exchange: Exchange) -> None:
        await self._delete(exchange, exchange.parameters["project_id"])

    async def _retrieve(self, exchange: Exchange, project_id: str | None) -> None:
        cents = await self._limits.get(exchange.known_caller.organization_id, project_id)
        if cents is None:
            raise _none()
        await exchange.answer_json(_shown(cents, project_id))

    async def _update(self, exchange: Exchange, project_id: str | None) -> None:
        wanted, caller = await read_body(exchange, SpendLimitUpdate), exchange.known_caller
        await self._limits.set(caller.organization_id, project_id, wanted.threshold_amount, by=caller)
        await exchange.answer_json(_shown(wanted.threshold_amount, project_id))

    async def _delete(self, exchange: Exchange, project_id: str | None) -> None:
        caller = exchange.known_caller
        if not await self._limits.remove(caller.organization_id, project_id, by=caller):
            raise _none()
        await exchange.answer_json(
            SpendLimitDeleted(
                object="project.spend_limit.deleted" if project_id else "organization.spend_limit.deleted"
            )
        )


def _rows(path: str, whose: str, handlers: tuple[Handler, Handler, Handler]) -> list[Route]:
    retrieve, update, delete = handlers
    return [
        Route(
            method="GET",
            path=path,
            needs="org.read",
            handler=retrieve,
            summary=f"Show the budget of {whose}: what it may spend in a month.",
            answers=(Answer(JSON, SpendLimit),),
        ),
        Route(
            method="POST",
            path=path,
            needs="org.write",
            handler=update,
            summary=f"Set the budget of {whose} for a month; in force within about a second.",
            body=SpendLimitUpdate,
            answers=(Answer(JSON, SpendLimit),),
        ),
        Route(
            method="DELETE",
            path=path,
            needs="org.write",
            handler=delete,
            summary=f"Remove the budget of {whose}.",
            answers=(Answer(JSON, SpendLimitDeleted),),
        ),
    ]


def _shown(cents: int, project_id: str | None) -> SpendLimit:
    return SpendLimit(
        object="project.spend_limit" if project_id else "organization.spend_limit", threshold_amount=cents
    )


def _none() -> NotFound:
    return NotFound("There is no budget.")
