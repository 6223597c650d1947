"""`/v1/organization/data_retention` and `/v1/organization/projects/{project_id}/data_retention`."""

from __future__ import annotations

from typing import cast

from antiphon.api.admin.answers import read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.privacy.policies import Policies, Setting
from antiphon.wire.admin.data_retention import (
    DataRetentionUpdate,
    OrganizationDataRetention,
    ProjectDataRetention,
    ProjectDataRetentionUpdate,
    RetentionType,
)

_ORGANIZATION = "/v1/organization/data_retention"
_PROJECT = "/v1/organization/projects/{project_id}/data_retention"


class DataRetentionApi:
    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def rows(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path=_ORGANIZATION,
                needs="org.read",
                handler=self.retrieve_data_retention,
                summary="Show for how long content of the organization is kept.",
                answers=(Answer(JSON, OrganizationDataRetention),),
            ),
            Route(
                method="POST",
                path=_ORGANIZATION,
                needs="org.write",
                handler=self.update_data_retention,
                summary="Say for how long content of the organization is kept; in force within a second.",
                body=DataRetentionUpdate,
                answers=(Answer(JSON, OrganizationDataRetention),),
            ),
            Route(
                method="GET",
                path=_PROJECT,
                needs="org.read",
                handler=self.retrieve_project_data_retention,
                summary="Show for how long content of a project is kept.",
                answers=(Answer(JSON, ProjectDataRetention),),
            ),
            Route(
                method="POST",
                path=_PROJECT,
                needs="org.write",
                handler=self.update_project_data_retention,
                summary="Say for how long content of a project is kept; in force within a second.",
                body=ProjectDataRetentionUpdate,
                answers=(Answer(JSON, ProjectDataRetention),),
            ),
        ]

    async def retrieve_data_retention(self, exchange: Exchange) -> None:
        await exchange.answer_json(shown(await self._policies.get(exchange.known_caller.organization_id)))

    async def update_data_retention(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, DataRetentionUpdate), exchange.known_caller
        made = await self._policies.set(
            caller.organization_id, None, wanted.retention_type, wanted.days, by=caller
        )
        await exchange.answer_json(shown(made))

    async def retrieve_project_data_retention(self, exchange: Exchange) -> None:
        found = await self._policies.get(
            exchange.known_caller.organization_id, exchange.parameters["project_id"]
        )
        await exchange.answer_json(_of_project(found))

    async def update_project_data_retention(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, ProjectDataRetentionUpdate), exchange.known_caller
        made = await self._policies.set(
            caller.organization_id,
            exchange.parameters["project_id"],
            wanted.retention_type,
            wanted.days,
            by=caller,
        )
        await exchange.answer_json(_of_project(made))


def shown(setting: Setting) -> OrganizationDataRetention:
    """An organization's setting, which never follows another."""
    return OrganizationDataRetention(type=cast(RetentionType, setting.type), days=setting.policy.days)


def _of_project(setting: Setting) -> ProjectDataRetention:
    return ProjectDataRetention(type=setting.type, days=setting.policy.days)
