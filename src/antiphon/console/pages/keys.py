"""Keys of projects: made and shown once, rotated, revoked."""

from __future__ import annotations

from antiphon.access.api_key import NewKey, Realm
from antiphon.access.permissions import SCOPES
from antiphon.access.projects import Project
from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console.forms import Form
from antiphon.console.services import Pages, Services
from antiphon.console.shell import Shell

_LIMIT = 100
_DAY = 86_400


class KeyPages(Pages):
    def __init__(self, shell: Shell, services: Services) -> None:
        super().__init__(shell, services)
        self._keys = services.access.keys
        self._projects = services.access.projects
        self._clock = services.clock

    def rows(self) -> list[Route]:
        act = self._shell.act
        return [
            self._shell.page("/keys", self.page, "org.read", "The keys of the organization's projects."),
            act("/keys/create", self.create, "project.write", "Make a key."),
            act("/keys/rotate", self.rotate, "project.write", "Give a key a new secret."),
            act("/keys/revoke", self.revoke, "project.write", "Refuse a key from now on."),
        ]

    async def page(self, exchange: Exchange) -> None:
        await self._show(exchange)

    async def _show(self, exchange: Exchange, secret: str = "", name: str = "") -> None:
        organization_id = exchange.known_caller.organization_id
        projects = await self._active(organization_id)
        found = [
            (project, await self._keys.list(Realm(organization_id, project.id), limit=_LIMIT, order="desc"))
            for project in projects
        ]
        await self._shell.show(
            exchange,
            "keys.html",
            projects=projects,
            found=[(project, page.data, page.has_more) for project, page in found],
            scopes=sorted(SCOPES),
            now=self._clock(),
            secret=secret,
            name=name,
            address=self._shell.address(exchange),
        )

    async def _active(self, organization_id: str) -> list[Project]:
        return (await self._projects.list(organization_id, limit=_LIMIT)).data

    async def create(self, exchange: Exchange, form: Form) -> None:
        caller, days = exchange.known_caller, form.number("days")
        new = NewKey(
            realm=Realm(caller.organization_id, form.text("project")),
            name=form.text("name"),
            scopes=form.every("scopes"),
            member_id=caller.member_id,
            expires_in_seconds=None if days is None else days * _DAY,
        )
        key, secret = await self._keys.create(new, by=caller)
        await self._show(exchange, secret, key.name)

    async def rotate(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        realm = Realm(caller.organization_id, form.text("project"))
        key, secret = await self._keys.rotate(realm, form.text("key"), by=caller)
        await self._show(exchange, secret, key.name)

    async def revoke(self, exchange: Exchange, form: Form) -> None:
        caller = exchange.known_caller
        await self._keys.revoke(
            Realm(caller.organization_id, form.text("project")), form.text("key"), by=caller
        )
        await self._shell.go(exchange, "/keys", "The key is revoked: it is refused from now on.")
