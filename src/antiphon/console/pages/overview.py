"""The first page: what is served, how it is, what one did lately, and what to do next."""

from __future__ import annotations

from antiphon.access.api_key import Realm
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.services import Pages


class OverviewPage(Pages):
    def rows(self) -> list[Route]:
        return [self._shell.page("/", self.overview, "org.read", "What there is, and what to do next.")]

    async def overview(self, exchange: Exchange) -> None:
        services, organization_id = self._services, exchange.known_caller.organization_id
        projects = (await services.access.projects.list(organization_id, limit=100)).data
        realms = [Realm(organization_id, project.id) for project in projects]
        keys = [key for realm in realms for key in (await services.access.keys.list(realm, limit=100)).data]
        aliases = [one for one in services.listing() if one.means]
        await self._shell.show(
            exchange,
            "overview.html",
            aliases=aliases,
            chat=next((one.name for one in aliases if one.task == "chat"), ""),
            keys=len(keys),
            projects=len(projects),
            status=await services.status(),
            address=self._shell.address(exchange),
        )
