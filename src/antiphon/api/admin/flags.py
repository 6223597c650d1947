"""`/v1/organization/flags` and the operator's side of it: appeals, decisions, thresholds, suspensions."""

from __future__ import annotations

import msgspec

from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.moderation import flags
from antiphon.moderation.thresholds import ThresholdStore
from antiphon.operations.moderating import Moderating
from antiphon.wire.admin import flags as wire

_FLAGS = "/v1/organization/flags"
_FLAG = _FLAGS + "/{flag_id}"
_OPERATOR = "/v1/operator/flags"
_ORGANIZATION = "/v1/operator/organizations/{organization_id}"


class FlagsApi:
    def __init__(self, moderating: Moderating, thresholds: ThresholdStore) -> None:
        self._moderating = moderating
        self._thresholds = thresholds

    def rows(self) -> list[Route]:
        return [*self._organizations(), *self._operators()]

    def _organizations(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_FLAGS,
                needs="org.read",
                handler=self.list_flags,
                summary="List the organization's flags, the newest first.",
                query=wire.FlagQuery,
                answers=(Answer(JSON, wire.FlagList),),
            ),
            Route(
                method="GET",
                path=_FLAG,
                needs="org.read",
                handler=self.retrieve_flag,
                summary="Show one flag.",
                answers=(Answer(JSON, wire.Flag),),
            ),
            Route(
                method="GET",
                path=_FLAG + "/evidence",
                needs="org.write",
                handler=self.retrieve_evidence,
                summary="Show what was flagged, as far as it is still kept.",
                answers=(Answer(JSON, wire.FlagEvidence),),
            ),
            Route(
                method="POST",
                path=_FLAG + "/appeal",
                needs="org.write",
                handler=self.appeal,
                summary="Say, once, why a flag is wrong.",
                body=wire.FlagAppeal,
                answers=(Answer(JSON, wire.Flag),),
            ),
            Route(
                method="GET",
                path="/v1/organization/moderation",
                needs="org.read",
                handler=self.retrieve_standing,
                summary="Show how the organization stands, and its thresholds.",
                answers=(Answer(JSON, wire.Standing),),
            ),
        ]

    def _operators(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_OPERATOR,
                needs="operator",
                handler=self.list_all,
                summary="List the flags of every organization, the newest first.",
                query=wire.FlagQuery,
                answers=(Answer(JSON, wire.FlagList),),
            ),
            Route(
                method="POST",
                path=_OPERATOR + "/{flag_id}/resolve",
                needs="operator",
                handler=self.resolve,
                summary="Decide about a flag, and answer its appeal.",
                body=wire.FlagResolve,
                answers=(Answer(JSON, wire.Flag),),
            ),
            Route(
                method="POST",
                path=_ORGANIZATION + "/moderation_thresholds",
                needs="operator",
                handler=self.set_threshold,
                summary="Say from which score on something follows for an organization.",
                body=wire.ThresholdSet,
                answers=(Answer(JSON, wire.Standing),),
            ),
            Route(
                method="POST",
                path=_ORGANIZATION + "/suspend",
                needs="operator",
                handler=self.suspend,
                summary="Refuse the keys of an organization's projects from now on.",
                body=wire.OrganizationSuspend,
                answers=(Answer(JSON, wire.Standing),),
            ),
            Route(
                method="POST",
                path=_ORGANIZATION + "/resume",
                needs="operator",
                handler=self.resume,
                summary="Let a suspended or throttled organization go on.",
                answers=(Answer(JSON, wire.Standing),),
            ),
        ]

    async def list_flags(self, exchange: Exchange) -> None:
        await self._list(exchange, exchange.known_caller.organization_id)

    async def list_all(self, exchange: Exchange) -> None:
        await self._list(exchange, None)

    async def retrieve_flag(self, exchange: Exchange) -> None:
        await exchange.answer_json(_shown(await self._moderating.flag(*self._place(exchange))))

    async def retrieve_evidence(self, exchange: Exchange) -> None:
        organization_id, flag_id = self._place(exchange)
        text = await self._moderating.evidence(organization_id, flag_id)
        await exchange.answer_json(wire.FlagEvidence(id=flag_id, text=text))

    async def appeal(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, wire.FlagAppeal)
        found = await self._moderating.appeal(*self._place(exchange), wanted.text, by=exchange.known_caller)
        await exchange.answer_json(_shown(found))

    async def retrieve_standing(self, exchange: Exchange) -> None:
        await self._answer_standing(exchange, exchange.known_caller.organization_id)

    async def resolve(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, wire.FlagResolve)
        found = await self._moderating.resolve(
            exchange.parameters["flag_id"], wanted.outcome, wanted.answer or "", by=exchange.known_caller
        )
        await exchange.answer_json(_shown(found))

    async def set_threshold(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, wire.ThresholdSet)
        organization_id = exchange.parameters["organization_id"]
        await self._thresholds.set(
            organization_id,
            wanted.category,
            wanted.action,
            wanted.score,
            times=wanted.times,
            by=exchange.known_caller,
        )
        await self._answer_standing(exchange, organization_id)

    async def suspend(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, wire.OrganizationSuspend)
        organization_id = exchange.parameters["organization_id"]
        await self._moderating.suspend(organization_id, wanted.reason, by=exchange.known_caller)
        await self._answer_standing(exchange, organization_id)

    async def resume(self, exchange: Exchange) -> None:
        organization_id = exchange.parameters["organization_id"]
        await self._moderating.resume(organization_id, by=exchange.known_caller)
        await self._answer_standing(exchange, organization_id)

    async def _list(self, exchange: Exchange, organization_id: str | None) -> None:
        wanted = query.read(exchange, wire.FlagQuery)
        found, more = await self._moderating.flags(
            organization_id,
            status=wanted.status,
            category=wanted.category,
            after=wanted.after,
            limit=wanted.limit,
        )
        await exchange.answer_json(list_page(wire.FlagList, [_shown(one) for one in found], more))

    async def _answer_standing(self, exchange: Exchange, organization_id: str) -> None:
        standing = await self._moderating.standing(organization_id)
        thresholds = await self._thresholds.of(organization_id)
        shown = [
            wire.Threshold(category=category, action=action, score=one.score, times=one.times)
            for (category, action), one in thresholds.items()
            if one.score is not None
        ]
        await exchange.answer_json(
            wire.Standing(
                id=organization_id,
                suspended_at=standing.suspended_at,
                reason=standing.reason,
                flag_id=standing.suspension_flag or standing.throttle_flag,
                throttled_until=standing.throttled_until,
                thresholds=shown,
            )
        )

    @staticmethod
    def _place(exchange: Exchange) -> tuple[str, str]:
        return exchange.known_caller.organization_id, exchange.parameters["flag_id"]


def _shown(found: flags.Flag) -> wire.Flag:
    appeal = None if found.appeal is None else wire.Appeal(text=found.appeal, created_at=found.appealed_at)
    resolution = (
        None
        if found.outcome is None or found.resolved_at is None
        else wire.Resolution(outcome=found.outcome, answer=found.answer, resolved_at=found.resolved_at)
    )
    return wire.Flag(
        id=found.id,
        organization_id=found.organization_id,
        project_id=found.project_id,
        key_id=found.key_id,
        request_id=found.request_id,
        model=found.snapshot,
        category=found.category,
        score=found.score,
        action=found.action,
        detail=found.detail,
        findings=[wire.Finding(**msgspec.structs.asdict(one)) for one in found.findings],
        status=found.status,
        created_at=found.created_at,
        appeal=appeal,
        resolution=resolution,
    )
