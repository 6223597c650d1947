"""`/v1/organization/projects/{project_id}/rate_limits`: one for each snapshot that is served."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from antiphon.access.projects import Projects
from antiphon.admission.limits import Limits
from antiphon.admission.store import RateLimits
from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.errors import InvalidRequest, NotFound
from antiphon.wire.admin.limits import RateLimit, RateLimitList, RateLimitListQuery, RateLimitUpdate

_LIMITS = "/v1/organization/projects/{project_id}/rate_limits"
_PREFIX = "rl-"


class RateLimitsApi:
    """`snapshots` gives those that are served."""

    def __init__(
        self, limits: RateLimits, projects: Projects, snapshots: Callable[[], Collection[str]]
    ) -> None:
        self._limits = limits
        self._projects = projects
        self._snapshots = snapshots

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_LIMITS,
                needs="org.read",
                handler=self.list_rate_limits,
                summary="List what a project may do with each snapshot.",
                query=RateLimitListQuery,
                answers=(Answer(JSON, RateLimitList),),
            ),
            Route(
                method="POST",
                path=_LIMITS + "/{rate_limit_id}",
                needs="org.write",
                handler=self.update_rate_limit,
                summary="Change what a project may do with a snapshot; in force within a second.",
                body=RateLimitUpdate,
                answers=(Answer(JSON, RateLimit),),
            ),
        ]

    async def list_rate_limits(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, RateLimitListQuery)
        organization_id, project_id = _project(exchange)
        found = await self._limits.list(organization_id, project_id, sorted(self._snapshots()))
        every = [_shown(name, limits) for name, limits in found.items()]
        ids = [limit.id for limit in every]
        start = 0 if wanted.after is None else _index("after", wanted.after, ids) + 1
        end = len(ids) if wanted.before is None else _index("before", wanted.before, ids)
        if wanted.before is not None and wanted.after is None:
            start = max(0, end - wanted.limit)
            data, more = every[start:end], start > 0
        else:
            data, more = every[start:end][: wanted.limit], end - start > wanted.limit
        await exchange.answer_json(list_page(RateLimitList, data, more))

    async def update_rate_limit(self, exchange: Exchange) -> None:
        wanted = await read_body(exchange, RateLimitUpdate)
        organization_id, project_id = _project(exchange)
        await self._projects.get(organization_id, project_id)
        snapshot = exchange.parameters["rate_limit_id"].removeprefix(_PREFIX)
        if _PREFIX + snapshot != exchange.parameters["rate_limit_id"] or snapshot not in self._snapshots():
            raise NotFound("There is no such rate limit.")
        given = msgspec.structs.asdict(wanted)
        changes = {name: given[_published(name)] for name in Limits.__struct_fields__}
        limits = await self._limits.update(
            organization_id,
            project_id,
            snapshot,
            {name: limit for name, limit in changes.items() if limit is not msgspec.UNSET},
            by=exchange.known_caller,
        )
        await exchange.answer_json(_shown(snapshot, limits))


def _project(exchange: Exchange) -> tuple[str, str]:
    return exchange.known_caller.organization_id, exchange.parameters["project_id"]


def _published(name: str) -> str:
    """A field of `Limits` as the API calls it: `max_requests_per_1_minute`."""
    return f"max_{name.replace('_per_', '_per_1_')}"


def _shown(snapshot: str, limits: Limits) -> RateLimit:
    values = msgspec.structs.asdict(limits)
    return RateLimit(
        id=_PREFIX + snapshot,
        model=snapshot,
        **{_published(name): limit for name, limit in values.items()},
    )


def _index(param: str, cursor: str, ids: list[str]) -> int:
    if cursor not in ids:
        raise InvalidRequest(f"'{param}' is not the id of an entry of this list.", param=param)
    return ids.index(cursor)
