"""`/v1/organization/training_opt_in`: whether content may be trained on. Ours."""

from __future__ import annotations

from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.errors import InvalidRequest
from antiphon.privacy.consent import Consents, Decision
from antiphon.wire.admin.lists import ListQuery
from antiphon.wire.admin.training import (
    ConsentText,
    TrainingDecision,
    TrainingDecisionList,
    TrainingOptIn,
    TrainingOptInUpdate,
)

_PATH = "/v1/organization/training_opt_in"


class TrainingApi:
    def __init__(self, consents: Consents) -> None:
        self._consents = consents

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_PATH,
                needs="org.read",
                handler=self.retrieve_training_opt_in,
                summary="Show whether content of the organization may be trained on, and the text of it.",
                answers=(Answer(JSON, TrainingOptIn),),
            ),
            Route(
                method="POST",
                path=_PATH,
                needs="org.write",
                handler=self.update_training_opt_in,
                summary="Opt in to training on the organization's content, or out of it.",
                body=TrainingOptInUpdate,
                answers=(Answer(JSON, TrainingOptIn),),
            ),
            Route(
                method="GET",
                path=f"{_PATH}/decisions",
                needs="org.read",
                handler=self.list_training_decisions,
                summary="List who opted in and out, when, and to which text, the newest first.",
                query=ListQuery,
                answers=(Answer(JSON, TrainingDecisionList),),
            ),
        ]

    async def retrieve_training_opt_in(self, exchange: Exchange) -> None:
        found = await self._consents.current(exchange.known_caller.organization_id)
        await exchange.answer_json(self._state(found))

    async def update_training_opt_in(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, TrainingOptInUpdate), exchange.known_caller
        if not wanted.opted_in:
            made = await self._consents.opt_out(caller.organization_id, given_by=wanted.given_by, by=caller)
        elif wanted.text_version is None:
            raise InvalidRequest(
                "Missing required parameter: 'text_version', that of the text which you agree to.",
                param="text_version",
                code="missing_required_parameter",
            )
        else:
            made = await self._consents.opt_in(
                caller.organization_id, wanted.text_version, given_by=wanted.given_by, by=caller
            )
        await exchange.answer_json(self._state(made))

    async def list_training_decisions(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ListQuery)
        found, more = await self._consents.list(
            exchange.known_caller.organization_id, after=wanted.after, limit=wanted.limit
        )
        page = list_page(TrainingDecisionList, [_shown(decision) for decision in found], more)
        await exchange.answer_json(page)

    def _state(self, decision: Decision | None) -> TrainingOptIn:
        text = self._consents.text
        return TrainingOptIn(
            opted_in=decision is not None and decision.opted_in,
            decision=_shown(decision) if decision else None,
            text=ConsentText(version=text.version, sha256=text.sha256, text=text.text),
        )


def _shown(decision: Decision) -> TrainingDecision:
    return TrainingDecision(
        id=decision.id,
        opted_in=decision.opted_in,
        decided_at=decision.decided_at // 1_000_000,
        text_version=decision.text_version,
        text_sha256=decision.text_sha256,
        given_by=decision.given_by,
        api_key_id=decision.actor_key_id,
        user_id=decision.actor_member_id,
    )
