"""`/v1/organization/projects`."""

from __future__ import annotations

from antiphon.access import projects
from antiphon.api import query
from antiphon.api.admin.answers import list_page, read_body
from antiphon.api.exchange import JSON, Exchange
from antiphon.api.routes import Answer, Route
from antiphon.wire.admin.projects import Project, ProjectCreate, ProjectList, ProjectListQuery, ProjectUpdate

_PROJECTS = "/v1/organization/projects"
_PROJECT = _PROJECTS + "/{project_id}"


class ProjectsApi:
    def __init__(self, service: projects.Projects) -> None:
        self._projects = service

    def rows(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=_PROJECTS,
                needs="org.write",
                handler=self.create_project,
                summary="Make a project.",
                body=ProjectCreate,
                answers=(Answer(JSON, Project),),
            ),
            Route(
                method="GET",
                path=_PROJECTS,
                needs="org.read",
                handler=self.list_projects,
                summary="List the projects of the organization, the oldest first.",
                query=ProjectListQuery,
                answers=(Answer(JSON, ProjectList),),
            ),
            Route(
                method="GET",
                path=_PROJECT,
                needs="org.read",
                handler=self.retrieve_project,
                summary="Show one project.",
                answers=(Answer(JSON, Project),),
            ),
            Route(
                method="POST",
                path=_PROJECT,
                needs="org.write",
                handler=self.update_project,
                summary="Rename a project.",
                body=ProjectUpdate,
                answers=(Answer(JSON, Project),),
            ),
            Route(
                method="POST",
                path=_PROJECT + "/archive",
                needs="org.write",
                handler=self.archive_project,
                summary="Stop a project and its keys for good; its usage stays.",
                answers=(Answer(JSON, Project),),
            ),
        ]

    async def create_project(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, ProjectCreate), exchange.known_caller
        made = await self._projects.create(caller.organization_id, wanted.name, by=caller)
        await exchange.answer_json(_shown(made))

    async def list_projects(self, exchange: Exchange) -> None:
        wanted = query.read(exchange, ProjectListQuery)
        page = await self._projects.list(
            exchange.known_caller.organization_id,
            after=wanted.after,
            limit=wanted.limit,
            include_archived=wanted.include_archived,
        )
        await exchange.answer_json(list_page(ProjectList, [_shown(p) for p in page.data], page.has_more))

    async def retrieve_project(self, exchange: Exchange) -> None:
        organization_id = exchange.known_caller.organization_id
        await exchange.answer_json(
            _shown(await self._projects.get(organization_id, exchange.parameters["project_id"]))
        )

    async def update_project(self, exchange: Exchange) -> None:
        wanted, caller = await read_body(exchange, ProjectUpdate), exchange.known_caller
        project_id = exchange.parameters["project_id"]
        changed = await self._projects.rename(caller.organization_id, project_id, wanted.name, by=caller)
        await exchange.answer_json(_shown(changed))

    async def archive_project(self, exchange: Exchange) -> None:
        caller, project_id = exchange.known_caller, exchange.parameters["project_id"]
        archived = await self._projects.archive(caller.organization_id, project_id, by=caller)
        await exchange.answer_json(_shown(archived))


def _shown(project: projects.Project) -> Project:
    return Project(
        id=project.id,
        name=project.name,
        created_at=project.created_at,
        archived_at=project.archived_at,
        status="active" if project.archived_at is None else "archived",
    )
