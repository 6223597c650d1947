"""The installation, for operators: its organizations, what they paid in advance, and who runs it."""

from __future__ import annotations

import re

from antiphon import __version__
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell
from antiphon.errors import InvalidRequest
from antiphon.ledger import credits
from antiphon.ledger.credits import Balance
from antiphon.operations.crediting import credit
from antiphon.status.outcomes import PROBES

_LIMIT = 100
_AMOUNT = re.compile(r"-?\d{1,12}(\.\d{1,9})?", re.ASCII)


class InstancePages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._organizations = services.access.organizations

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/instance", self.page, "operator", "The installation, for operators."),
            act("/instance/organization", self.create, "operator", "Make an organization."),
            act("/instance/credit", self.credit, "operator", "Add to the balance of an organization."),
            act("/instance/owner", self.owner, "operator", "Make an owner of an organization, and a link."),
        ]

    async def page(self, exchange: Exchange) -> None:
        await self._show(exchange)

    async def _show(self, exchange: Exchange, link: str = "", email: str = "") -> None:
        services = self._services
        found = await self._organizations.list(limit=_LIMIT)
        organizations = [one for one in found.data if one.id != PROBES]
        people = [one for one in await services.access.people.list() if one.operator]
        async with services.database.connect() as connection:
            balances: dict[str, Balance] = {
                one.id: await connection.run_sync(credits.balance, one.id)
                for one in organizations
                if one.prepaid
            }
        await self._shell.show(
            exchange,
            "instance.html",
            organizations=organizations,
            more=found.has_more,
            balances=balances,
            operators=people,
            version=__version__,
            link=link,
            email=email,
        )

    async def create(self, exchange: Exchange, form: Form) -> None:
        made = await self._organizations.create(
            form.text("name"), prepaid="prepaid" in form, by=exchange.known_caller
        )
        await self._services.access.projects.create(made.id, "default", by=exchange.known_caller)
        await self._shell.go(exchange, "/instance", f"“{made.name}” is there. Now give it an owner.")

    async def credit(self, exchange: Exchange, form: Form) -> None:
        said, services = form.text("amount"), self._services
        if not _AMOUNT.fullmatch(said):
            raise InvalidRequest("'amount' must be US dollars, as 25 or 0.50.", param="amount")
        organization = await self._organizations.get(form.text("organization"))
        await credit(
            services.database,
            organization.id,
            said,
            form.text("note"),
            by=exchange.known_caller,
            now=services.clock(),
        )
        await self._shell.go(exchange, "/instance", f"“{organization.name}” was credited ${said}.")

    async def owner(self, exchange: Exchange, form: Form) -> None:
        caller, access = exchange.known_caller, self._services.access
        organization = await self._organizations.get(form.text("organization"))
        email = form.text("email")
        member = await access.members.add(
            organization.id, email, form.text("name") or email, "owner", by=caller
        )
        secret = await access.people.link(organization.id, member.id, by=caller)
        await self._show(exchange, f"{self._shell.address(exchange)}/sign-in/link?token={secret}", email)
