"""Which of one's organizations to work in: chosen after signing in, and changed later."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs, quote

from antiphon.access.entering import How, Proven
from antiphon.access.people import Person
from antiphon.api.auth import proven_of, require_own_site, session_of
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form, read
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell, own_path
from antiphon.errors import Unauthenticated

CHOOSE = "/sign-in/organization"
SWITCH = "/account/organization"


class OrganizationPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._entering = services.access.entering

    def rows(self) -> list[Route]:
        return [
            self._shell.open("GET", CHOOSE, self.ask, "The organizations that a sign-in opens."),
            self._shell.open("POST", CHOOSE, self.choose, "Enter one of them."),
            self._shell.page(SWITCH, self.others, "org.read", "The organizations that one may switch to."),
            self._shell.act(SWITCH, self.switch, "org.read", "Leave this organization for another one."),
        ]

    async def admit(self, exchange: Exchange, people: Sequence[Person], how: How, path: str) -> None:
        """Let somebody in who proved to be these members: at once, or when an organization is chosen."""
        proven = self._entering.proven(people, how)
        if len(proven.members) == 1:
            await self._enter(exchange, proven, proven.members[0], path)
            return
        where = CHOOSE + (f"?next={quote(path)}" if path != "/" else "")
        await self._shell.keep(exchange, where, proven=self._entering.sealed(proven))

    async def _enter(self, exchange: Exchange, proven: Proven, member_id: str, path: str) -> None:
        secret = await self._entering.enter(proven, member_id, leaving=exchange.caller)
        several = len(proven.members) > 1
        await self._shell.keep(
            exchange, path, secret, self._entering.sealed(proven, secret) if several else ""
        )

    async def stay(self, exchange: Exchange, proven: Proven | None, secret: str, path: str) -> None:
        """Go on in the same organization with a new session, after the password was changed there."""
        kept = ""
        if proven is not None and (member_id := exchange.known_caller.member_id) is not None:
            kept = self._entering.sealed(await self._entering.renewed(proven, member_id), secret)
        await self._shell.keep(exchange, path, secret, kept)

    # --- after signing in ----------------------------------------------------------------------------------

    async def ask(self, exchange: Exchange) -> None:
        said = parse_qs(exchange.query.decode("latin-1"))
        choices = await self._entering.choices(self._pending(exchange))
        await self._shell.show(
            exchange, "organizations.html", choices=choices, next=own_path(said.get("next", ["/"])[0])
        )

    async def choose(self, exchange: Exchange) -> None:
        require_own_site(exchange)
        form = await read(exchange, None)
        proven = self._pending(exchange)
        await self._enter(exchange, proven, form.text("member"), own_path(form.text("next")))

    def _pending(self, exchange: Exchange) -> Proven:
        proven = None if session_of(exchange) else self._entering.unsealed(proven_of(exchange))
        if proven is None:
            raise Unauthenticated("Sign in first.")
        return proven

    # --- later ---------------------------------------------------------------------------------------------

    async def others(self, exchange: Exchange) -> None:
        proven = self._shell.proven(exchange)
        choices = await self._entering.choices(proven) if proven else []
        await self._shell.show(exchange, "organizations.html", choices=choices, next="")

    async def switch(self, exchange: Exchange, form: Form) -> None:
        proven = self._shell.proven(exchange)
        if proven is None:
            raise Unauthenticated("Sign in to this organization anew.")
        await self._enter(exchange, proven, form.text("member"), "/")
