"""`/v1/organization/audit_logs`."""

from __future__ import annotations

from typing import Any

import msgspec

from antiphon.access.audit import Audit, Event, Filter
from antiphon.api import query
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.wire.admin.audit_logs import (
    Actor,
    ActorKey,
    ActorUser,
    AuditLog,
    AuditLogList,
    AuditLogQuery,
    EventProject,
)


class AuditLogsApi:
    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/v1/organization/audit_logs",
                needs="org.read",
                handler=self.list_audit_logs,
                summary="List who changed what in the organization, the newest first.",
                query=AuditLogQuery,
                answers=(Answer(JSON, AuditLogList),),
            )
        ]

    async def list_audit_logs(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, AuditLogQuery)
        page = await self._audit.list(
            exchange.known_caller.organization_id,
            Filter(
                event_types=wanted.event_types,
                project_ids=wanted.project_ids,
                actor_ids=wanted.actor_ids,
                actor_emails=wanted.actor_emails,
                gt=wanted.gt,
                gte=wanted.gte,
                lt=wanted.lt,
                lte=wanted.lte,
            ),
            after=wanted.after,
            before=wanted.before,
            limit=wanted.limit,
        )
        ids = [event.id for event in page.data]
        await exchange.answer_json(
            AuditLogList(
                data=[_shown(event) for event in page.data],
                first_id=ids[0] if ids else None,
                last_id=ids[-1] if ids else None,
                has_more=page.has_more,
            )
        )


def _shown(event: Event) -> dict[str, Any]:
    log = AuditLog(
        id=event.id,
        type=event.type,
        effective_at=event.effective_at,
        project=EventProject(id=event.project_id, name=event.project) if event.project_id else None,
        actor=_actor(event),
    )
    return {**msgspec.structs.asdict(log), event.type: event.payload}


def _actor(event: Event) -> Actor | None:
    if event.actor_key_id is None:
        return None
    if event.actor_member_id is None:
        return Actor(api_key=ActorKey(id=event.actor_key_id, type=None, user=None))
    user = ActorUser(id=event.actor_member_id, email=event.actor_email)
    return Actor(api_key=ActorKey(id=event.actor_key_id, type="user", user=user))
