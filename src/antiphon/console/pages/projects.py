"""Projects: made, renamed, archived; and the service accounts of each."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from urllib.parse import parse_qs

from antiphon.access.api_key import ApiKey, Realm
from antiphon.access.projects import Project
from antiphon.access.service_accounts import ServiceAccount
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.ledger import usage
from antiphon.ledger.buckets import Query

_LIMIT = 100
_DAYS = 31
_DAY = 86_400
_PROJECT = "/projects/{project_id}"


class ProjectPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._projects = services.access.projects
        self._accounts = services.access.service_accounts

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/projects", self.list, "org.read", "The organization's projects."),
            self._shell.page(_PROJECT, self.project, "org.read", "A project, and its service accounts."),
            act("/projects/create", self.create, "org.write", "Make a project."),
            act(_PROJECT + "/rename", self.rename, "org.write", "Give a project another name."),
            act(_PROJECT + "/archive", self.archive, "org.write", "Stop a project for good."),
            act(_PROJECT + "/accounts/create", self.add_account, "project.write", "Make a service account."),
            act(_PROJECT + "/accounts/delete", self.delete_account, "project.write", "Delete one."),
        ]

    async def list(self, exchange: Exchange) -> None:
        asked = parse_qs(exchange.query.decode("latin-1"))
        archived, after = "archived" in asked, asked.get("after", [None])[0]
        organization_id = exchange.known_caller.organization_id
        page = await self._projects.list(
            organization_id, after=after, limit=_LIMIT, include_archived=archived
        )
        await self._shell.show(
            exchange,
            "projects.html",
            projects=page.data,
            more=page.data[-1].id if page.has_more else "",
            archived=archived,
            costs=await self._costs(organization_id),
        )

    async def _costs(self, organization_id: str, *project_ids: str) -> dict[str | None, int]:
        """What projects cost since the month began (UTC), in nano-dollars, by project."""
        now = self._services.clock()
        start = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        query = Query(
            organization_id=organization_id,
            start=int(start.timestamp()),
            end=int(now) + 1,
            group_by=("project_id",),
            project_ids=project_ids,
            limit=_DAYS,
        )
        async with self._services.database.connect() as connection:
            page = await connection.run_sync(partial(usage.costs, query=query))
        sums: dict[str | None, int] = {}
        for result in (result for bucket in page.data for result in bucket.results):
            sums[result.project_id] = sums.get(result.project_id, 0) + result.amount
        return sums

    async def project(self, exchange: Exchange) -> None:
        organization_id = exchange.known_caller.organization_id
        found = await self._projects.get(organization_id, exchange.parameters["project_id"])
        await self._show(exchange, found)

    async def _show(self, exchange: Exchange, project: Project, secret: str = "", name: str = "") -> None:
        organization_id = exchange.known_caller.organization_id
        accounts = await self._accounts.list(organization_id, project.id, limit=_LIMIT)
        keys = await self._services.access.keys.list(Realm(organization_id, project.id), limit=_LIMIT)
        await self._shell.show(
            exchange,
            "project.html",
            project=project,
            accounts=[_with_keys(account, keys.data) for account in accounts.data],
            more=accounts.has_more,
            keys=len(keys.data),
            more_keys=keys.has_more,
            cost=(await self._costs(organization_id, project.id)).get(project.id, 0),
            secret=secret,
            name=name,
            address=self._shell.address(exchange),
        )

    async def create(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        made = await self._projects.create(caller.organization_id, form.text("name"), by=caller)
        await self._shell.go(exchange, f"/projects/{made.id}", f"“{made.name}” is there. Now it needs a key.")

    async def rename(self, exchange: Exchange, form: Form) -> None:
        caller, project_id = exchange.known_caller, exchange.parameters["project_id"]
        await self._projects.rename(caller.organization_id, project_id, form.text("name"), by=caller)
        await self._shell.go(exchange, f"/projects/{project_id}", "The project has its new name.")

    async def archive(self, exchange: Exchange, form: Form) -> None:
        caller, project_id = exchange.known_caller, exchange.parameters["project_id"]
        await self._projects.archive(caller.organization_id, project_id, by=caller)
        await self._shell.go(exchange, "/projects", "The project is archived: its keys are refused.")

    async def add_account(self, exchange: Exchange, form: Form) -> None:
        caller, days = exchange.known_caller, form.number("days")
        project = await self._projects.get(caller.organization_id, exchange.parameters["project_id"])
        made, key = await self._accounts.create(
            caller.organization_id,
            project.id,
            form.text("name"),
            expires_in_seconds=None if days is None else days * _DAY,
            by=caller,
        )
        await self._show(exchange, project, key[1] if key else "", made.name)

    async def delete_account(self, exchange: Exchange, form: Form) -> None:
        caller, project_id = exchange.known_caller, exchange.parameters["project_id"]
        await self._accounts.delete(caller.organization_id, project_id, form.text("account"), by=caller)
        said = "The service account is deleted, and its keys are refused."
        await self._shell.go(exchange, f"/projects/{project_id}", said)


def _with_keys(
    account: ServiceAccount, keys: list[ApiKey]
) -> tuple[ServiceAccount, list[ApiKey], int | None]:
    """A service account, its keys among these, and when one of them was last used."""
    mine = [key for key in keys if key.owner is not None and key.owner.id == account.id]
    return account, mine, max((key.last_used_at for key in mine if key.last_used_at), default=None)
