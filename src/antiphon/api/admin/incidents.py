"""`/v1/operator/incidents`: what the status page tells of outages and maintenance, for the operator."""

from __future__ import annotations

from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.operations.incidents import Incidents
from antiphon.status.incidents import New
from antiphon.status.report import incident
from antiphon.wire.admin.lists import ListQuery
from antiphon.wire.status import Incident, IncidentCreate, IncidentList, IncidentText

_INCIDENTS = "/v1/operator/incidents"
_INCIDENT = _INCIDENTS + "/{incident_id}"


class IncidentsApi:
    """Each change is shown at once, and told to the webhook where it opens or resolves an incident."""

    def __init__(self, service: Incidents) -> None:
        self._incidents = service

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=_INCIDENTS,
                needs="operator",
                handler=self.create_incident,
                summary="Open an incident, or announce maintenance.",
                body=IncidentCreate,
                answers=(Answer(JSON, Incident),),
            ),
            Route(
                method="GET",
                path=_INCIDENTS,
                needs="operator",
                handler=self.list_incidents,
                summary="List incidents with their notes, the newest first.",
                query=ListQuery,
                answers=(Answer(JSON, IncidentList),),
            ),
            Route(
                method="POST",
                path=_INCIDENT + "/notes",
                needs="operator",
                handler=self.create_incident_note,
                summary="Add a note to an incident.",
                body=IncidentText,
                answers=(Answer(JSON, Incident),),
            ),
            Route(
                method="POST",
                path=_INCIDENT + "/resolve",
                needs="operator",
                handler=self.resolve_incident,
                summary="Say that an incident, or maintenance, is over.",
                body=IncidentText,
                answers=(Answer(JSON, Incident),),
            ),
        ]

    async def create_incident(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, IncidentCreate)
        new = New(
            title=wanted.title,
            text=wanted.text,
            api=wanted.api or "",
            begins_at=wanted.begins_at,
            ends_at=wanted.ends_at,
        )
        await exchange.answer_json(incident(await self._incidents.open(new, by=exchange.known_caller)))

    async def list_incidents(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ListQuery)
        found, more = await self._incidents.listed(limit=wanted.limit, after=wanted.after)
        await exchange.answer_json(list_page(IncidentList, [incident(one) for one in found], more))

    async def create_incident_note(self, exchange: Exchange) -> None:
        wanted, id = await read_body(exchange, IncidentText), exchange.parameters["incident_id"]
        noted = await self._incidents.note(id, wanted.text, by=exchange.known_caller)
        await exchange.answer_json(incident(noted))

    async def resolve_incident(self, exchange: Exchange) -> None:
        wanted, id = await read_body(exchange, IncidentText), exchange.parameters["incident_id"]
        resolved = await self._incidents.resolve(id, wanted.text, by=exchange.known_caller)
        await exchange.answer_json(incident(resolved))
