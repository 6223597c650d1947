"""A conversation with a chat model, in the browser: its script asks the API that everybody uses."""

from __future__ import annotations

from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.choices import active, instances, names, running
from antiphon.console.services import Pages


class PlaygroundPage(Pages):
    def rows(self) -> list[Route]:
        return [self._shell.page("/playground", self.page, "org.read", "Chat with a model.")]

    async def page(self, exchange: Exchange) -> None:
        organization_id, services = exchange.known_caller.organization_id, self._services
        own = running(await instances(services.dedicated, organization_id), services.clock())
        await self._shell.show(
            exchange,
            "playground.html",
            models=names(services.catalogue(), organization_id, "chat", own),
            projects=await active(services.access.projects, organization_id),
            address=self._shell.address(exchange),
        )
