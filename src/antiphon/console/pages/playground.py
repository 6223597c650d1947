"""A conversation with a chat model, in the browser: its script asks the API that everybody uses."""

from __future__ import annotations

from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.choices import active, names
from antiphon.console.services import Services
from antiphon.console.shell import Shell


class PlaygroundPage:
    def __init__(self, shell: Shell, services: Services) -> None:
        self._shell = shell
        self._services = services

    def rows(self) -> list[Route]:
        return [self._shell.page("/playground", self.page, "org.read", "Chat with a model.")]

    async def page(self, exchange: Exchange) -> None:
        organization_id = exchange.known_caller.organization_id
        await self._shell.show(
            exchange,
            "playground.html",
            models=names(self._services.catalogue(), organization_id, "chat"),
            projects=await active(self._services.access.projects, organization_id),
            address=self._shell.address(exchange),
        )
