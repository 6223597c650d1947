"""`/v1/organization/dedicated_instances`."""

from __future__ import annotations

from collections.abc import Callable

from antiphon.api import query
from antiphon.api.admin.answers import list_page, name_of, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.errors import InvalidRequest
from antiphon.ledger.usage import dollars
from antiphon.operations.dedicated import Dedicated, Standing
from antiphon.operations.orders import Change, Order
from antiphon.wire.admin.dedicated import (
    Calendar,
    CalendarQuery,
    CalendarSpan,
    DedicatedInstance,
    DedicatedInstanceCreate,
    DedicatedInstanceDeleted,
    DedicatedInstanceList,
    DedicatedInstanceUpdate,
    InstanceCost,
)
from antiphon.wire.admin.lists import ListQuery

_INSTANCES = "/v1/organization/dedicated_instances"
_INSTANCE = _INSTANCES + "/{instance_id}"
_YEAR = 365 * 86_400


class DedicatedApi:
    """`clock` in unix seconds."""

    def __init__(self, service: Dedicated, clock: Callable[[], float]) -> None:
        self._dedicated = service
        self._clock = clock

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=_INSTANCES,
                needs="org.write",
                handler=self.create_dedicated_instance,
                summary="Reserve an instance for the organization, if there is room for it.",
                body=DedicatedInstanceCreate,
                answers=(Answer(JSON, DedicatedInstance),),
            ),
            Route(
                method="GET",
                path=_INSTANCES,
                needs="org.read",
                handler=self.list_dedicated_instances,
                summary="List the instances of the organization, the oldest first.",
                query=ListQuery,
                answers=(Answer(JSON, DedicatedInstanceList),),
            ),
            Route(
                method="GET",
                path=_INSTANCES + "/calendar",
                needs="org.read",
                handler=self.retrieve_calendar,
                summary="Show for how many replicas of a model there is room, and when.",
                query=CalendarQuery,
                answers=(Answer(JSON, Calendar),),
            ),
            Route(
                method="GET",
                path=_INSTANCE,
                needs="org.read",
                handler=self.retrieve_dedicated_instance,
                summary="Show one instance.",
                answers=(Answer(JSON, DedicatedInstance),),
            ),
            Route(
                method="POST",
                path=_INSTANCE,
                needs="org.write",
                handler=self.update_dedicated_instance,
                summary="Change an instance: its load, its replicas, its end.",
                body=DedicatedInstanceUpdate,
                answers=(Answer(JSON, DedicatedInstance),),
            ),
            Route(
                method="DELETE",
                path=_INSTANCE,
                needs="org.write",
                handler=self.delete_dedicated_instance,
                summary="End an instance now.",
                answers=(Answer(JSON, DedicatedInstanceDeleted),),
            ),
        ]

    async def create_dedicated_instance(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, DedicatedInstanceCreate), exchange.known_caller
        order = Order(
            model=wanted.model,
            name=wanted.name or "",
            context=wanted.context_length,
            load=wanted.load,
            replicas=wanted.replicas,
            begins_at=wanted.starts_at,
            ends_at=wanted.ends_at,
            spill_over=wanted.spill_over,
        )
        key = name_of(exchange)
        made = await self._dedicated.create(caller.organization_id, order, by=caller, key=key)
        await exchange.answer_json(self._shown(made))

    async def list_dedicated_instances(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ListQuery)
        organization_id = exchange.known_caller.organization_id
        page = await self._dedicated.listed(organization_id, after=wanted.after, limit=wanted.limit)
        data = [self._shown(one) for one in page.data]
        await exchange.answer_json(list_page(DedicatedInstanceList, data, page.has_more))

    async def retrieve_calendar(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, CalendarQuery)
        begin = int(self._clock()) if wanted.start_time is None else wanted.start_time
        end = begin + _YEAR if wanted.end_time is None else wanted.end_time
        if end <= begin:
            raise InvalidRequest("'end_time' must be after 'start_time'.", param="end_time")
        rooms = await self._dedicated.calendar(wanted.model, begin, end)
        data = [CalendarSpan(starts_at=room.begin, ends_at=room.end, replicas=room.number) for room in rooms]
        await exchange.answer_json(Calendar(model=wanted.model, data=data))

    async def retrieve_dedicated_instance(self, exchange: Exchange) -> None:
        organization_id, id = _named(exchange)
        await exchange.answer_json(self._shown(await self._dedicated.get(organization_id, id)))

    async def update_dedicated_instance(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, DedicatedInstanceUpdate)
        organization_id, id = _named(exchange)
        change = Change(
            name=wanted.name,
            context=wanted.context_length,
            load=wanted.load,
            replicas=wanted.replicas,
            spill_over=wanted.spill_over,
            ends_at=wanted.ends_at,
        )
        changed = await self._dedicated.update(organization_id, id, change, by=exchange.known_caller)
        await exchange.answer_json(self._shown(changed))

    async def delete_dedicated_instance(self, exchange: Exchange) -> None:
        organization_id, id = _named(exchange)
        await self._dedicated.end(organization_id, id, by=exchange.known_caller)
        await exchange.answer_json(DedicatedInstanceDeleted(id=id))

    def _shown(self, standing: Standing) -> DedicatedInstance:
        found, now = standing.instance, self._clock()
        return DedicatedInstance(
            id=found.id,
            name=found.name,
            model=found.snapshot,
            context_length=found.context,
            load=found.load,
            replicas=found.replicas,
            ready_replicas=standing.ready,
            spill_over=found.spill_over,
            status="ended" if found.over(now) else "running" if found.runs(now) else "scheduled",
            starts_at=found.begins_at,
            ends_at=found.ends_at,
            created_at=found.created_at,
            price_per_hour=f"{dollars(standing.price):f}",
            cost=InstanceCost(
                charged=f"{dollars(standing.cost.charged):f}",
                credited=f"{dollars(standing.cost.credited):f}",
            ),
        )


def _named(exchange: Exchange) -> tuple[str, str]:
    return exchange.known_caller.organization_id, exchange.parameters["instance_id"]
