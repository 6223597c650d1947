"""The console on a real socket, over a real database, and people who look at it without a screen."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from admin_service import OFFERED, administration, dedicated, used
from antiphon.access.api_key import Realm
from antiphon.access.members import Member
from antiphon.access.oidc import provider_of
from antiphon.access.organizations import Organization
from antiphon.access.pepper import check_pepper
from antiphon.access.projects import Project
from antiphon.api.admin.table import rows as admin_rows
from antiphon.app.data import opened_content
from antiphon.catalogue.changes import Changes
from antiphon.catalogue.instances import Instance
from antiphon.console import console
from antiphon.console.jobs import background
from antiphon.console.services import Services
from antiphon.operations.orders import Order
from antiphon.pools import machines
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import Capacity, Role
from service import SPEECH, Service, catalogue, serving
from tenants import PASSWORD, PEPPER, World

OWN = {"sec-fetch-site": "same-origin"}
_PROOF = re.compile(r'name="csrf" (?:content|value)="([0-9a-f]*)"')


class Visitor:
    """Somebody with a browser that shows nothing: keeps cookies, and the address and the proof of the last
    page."""

    def __init__(self, root: str, session: aiohttp.ClientSession) -> None:
        self._root, self._session = root, session
        self.proof = ""
        self.page = "/"
        self.location = ""
        """Where the last answer led to."""

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and text. Redirects are shown, and not followed."""
        self.page = path
        return await self._taken("GET", path, headers=headers)

    async def seen(self, path: str) -> str:
        """The text of a page that must be there."""
        status, text = await self.get(path)
        assert status == 200, (status, self.location, text)
        return text

    async def post(
        self, path: str, fields: Mapping[str, Any] = {}, headers: Mapping[str, str] = OWN
    ) -> tuple[int, str]:
        """Send a form of the last page."""
        said = {"referer": self._root + self.page, **headers}
        return await self._taken("POST", path, data={"csrf": self.proof, **fields}, headers=said)

    async def done(self, path: str, fields: Mapping[str, Any] = {}) -> str:
        """Send a form, and look at the page that it leads to."""
        status, text = await self.post(path, fields)
        if status == 303:
            return await self.seen(self.location)
        assert status == 200, (status, text)
        return text

    async def refused(self, path: str, fields: Mapping[str, Any] = {}) -> str:
        """Send a form that cannot be done: the page that says so, with what was filled in."""
        status, text = await self.post(path, fields)
        assert 400 <= status < 500 and 'class="said bad" role="alert"' in text, (status, self.location, text)
        return text

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """What a script of a page asks of the API: status and body."""
        headers = {"x-csrf-token": self.proof, **OWN, **options.pop("headers", {})}
        async with self._session.request(method, self._root + path, headers=headers, **options) as answer:
            body = await answer.json() if answer.content_type == "application/json" else await answer.text()
            return answer.status, body

    async def sign_in(self, email: str, password: str = PASSWORD) -> None:
        await self.seen("/sign-in")
        status, text = await self.post("/sign-in", {"email": email, "password": password})
        assert status == 303, text
        await self.seen("/account")

    async def _taken(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        request = self._session.request(method, self._root + path, allow_redirects=False, **options)
        async with request as answer:
            text, self.location = await answer.text(), answer.headers.get("location", "")
        if found := _PROOF.search(text):
            self.proof = found[1] or self.proof
        return answer.status, text


class KeptContent:
    """Stands for who keeps content: what a test says of each request."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def text(self, organization_id: str, request_id: str) -> str | None:
        return self.texts.get(request_id)


class House:
    """An organization `acme` with a project `shop`; `kept` is the content of its requests."""

    def __init__(
        self,
        world: World,
        service: Service,
        services: Services,
        organization: Organization,
        project: Project,
        kept: dict[str, str],
    ) -> None:
        self.kept = kept
        self.world = world
        self.service = service
        self.services = services
        self.organization = organization
        self.project = project

    @property
    def realm(self) -> Realm:
        return Realm(self.organization.id, self.project.id)

    async def use(self, start: int, **row: Any) -> None:
        """Usage as the ledger writes it; of the project, unless `row` says another."""
        await used(self.world, self.realm, start, **row)

    async def equip(self) -> None:
        """Let there be a machine with room for instances, of which is heard for long."""
        there = {"rack-1": Capacity(cpus=64_000, memory=64 << 30)}
        at = int(self.world.wall) + 1_000_000
        await self.world.database.run(partial(machines.tell, server="here", machines=there, now=at))

    async def reserve(self, **order: Any) -> Instance:
        """An instance of the organization's own, of the speech model."""
        await self.equip()
        wanted = Order(model=SPEECH, **order)
        return (await self.services.dedicated.create(self.organization.id, wanted, by=None)).instance

    @asynccontextmanager
    async def visitor(self, role: Role | None = None, *, operator: bool = False) -> AsyncIterator[Visitor]:
        """A browser of its own; of a new member of this role, who has signed in, if one is given."""
        jar = aiohttp.CookieJar(unsafe=True)  # 127.0.0.1 counts as a site
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            visitor = Visitor(f"http://127.0.0.1:{self.service.port}", session)
            if role is not None:
                member = await self.member(role, operator=operator)
                await visitor.sign_in(member.email)
            yield visitor

    async def member(self, role: Role, *, operator: bool = False, email: str = "") -> Member:
        """A new member who can sign in with `PASSWORD`."""
        self.world.wall += 1
        people, email = self.world.access.people, email or f"{role}{self.world.wall:.0f}@example.com"
        member = await self.world.access.members.add(self.organization.id, email, role.title(), role, by=None)
        await people.redeem(await people.link(self.organization.id, member.id, by=None), PASSWORD)
        if operator:
            await people.set_operator(member.id, True)
        return member


@asynccontextmanager
async def console_house(
    folder: Path, migrated: Path, engine: Any = None, **settings: Any
) -> AsyncIterator[House]:
    """The console over a copy of the empty database `migrated`."""
    path = shutil.copy(migrated, folder / "antiphon.db")
    async with (
        Database(f"sqlite+aiosqlite:///{path}") as database,
        opened_content(Settings(home=str(folder)), database) as content,
        background(folder / "jobs", lambda: world.wall) as jobs,
    ):
        await check_pepper(database, PEPPER)
        world = World(database)
        organization = await world.organization("acme")
        project = await world.project(organization, "shop")
        instances, known = dedicated(world, folder), catalogue(folder, OFFERED)
        there = administration(world, instances)
        chosen = Settings(home=str(folder), **settings)
        told = KeptContent()
        services = Services(
            **there,
            evidence=told,
            settings=chosen,
            provider=provider_of(chosen),
            catalogue=lambda: known,
            listing=known.listing,
            status=there["incidents"].status,
            changes=Changes(database, clock=lambda: world.wall),
            jobs=jobs,
            content=content,
        )
        pages = {"pages": console.rows(services), "proof": world.access.sessions.proof}
        keys, admin = world.access.authenticator, admin_rows(services)
        async with serving(folder, engine, authenticator=keys, admin=admin, **pages, **settings) as service:
            yield House(world, service, services, organization, project, told.texts)
