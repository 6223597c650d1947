"""Organizations, projects and keys over a real database, with clocks that stand still until moved."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from antiphon.access.access import build
from antiphon.access.api_key import ApiKey, NewKey, Realm
from antiphon.access.authenticator import Authenticator
from antiphon.access.organizations import Organization
from antiphon.access.projects import Project
from antiphon.storage.database import Database
from antiphon.values import Caller, Role

START = 1_800_000_000
PEPPER = bytes(range(32))
PASSWORD = "correct horse battery"


class World:
    """`access` over a database; `statements` are those that were executed since the last look."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.wall = float(START)
        self.monotonic = 50.0
        self.access = build(database, PEPPER, lambda: self.wall, lambda: self.monotonic)
        self.statements: list[str] = []
        event.listen(database._engine.sync_engine, "before_cursor_execute", self._record)

    def another_process(self, pepper: bytes = PEPPER) -> Authenticator:
        """What another process would know: the same database, its own memory."""
        return build(self.database, pepper, lambda: self.wall, lambda: self.monotonic).authenticator

    def _record(self, *arguments: object) -> None:
        self.statements.append(str(arguments[2]))

    @property
    def selects(self) -> list[str]:
        return [statement for statement in self.statements if statement.startswith("SELECT")]

    async def organization(self, name: str = "acme") -> Organization:
        return await self.access.organizations.create(name, by=None)

    async def project(self, organization: Organization, name: str = "shop") -> Project:
        return await self.access.projects.create(organization.id, name, by=None)

    async def realm(self, organization: str = "acme", project: str = "shop") -> Realm:
        """A new project in a new organization."""
        owner = await self.organization(organization)
        return Realm(owner.id, (await self.project(owner, project)).id)

    async def key(self, realm: Realm, name: str = "a", **options: Any) -> tuple[ApiKey, str]:
        return await self.access.keys.create(NewKey(realm=realm, name=name, **options), by=None)

    async def caller(self, realm: Realm, **options: Any) -> Caller:
        """Who shows a new key of this realm."""
        _, secret = await self.key(realm, **options)
        return await self.access.authenticator.authenticate(secret)

    async def joined(self, organization_id: str, email: str, role: Role = "member") -> str:
        """The id of a new member who can sign in with `PASSWORD`."""
        people = self.access.people
        member = await self.access.members.add(organization_id, email, "Kim", role, by=None)
        await people.redeem(await people.link(organization_id, member.id, by=None), PASSWORD)
        return member.id

    async def opened(self, member_id: str) -> str:
        """The secret of a new session of a member."""
        async with self.database.begin() as connection:
            return await self.access.sessions.insert(connection, member_id, "test")

    async def signed_in(self, email: str, password: str = PASSWORD) -> str:
        """The secret of a session in the oldest organization of those that the password opens."""
        people = await self.access.people.by_password(email, password)
        proven = self.access.entering.proven(people, "password")
        return await self.access.entering.enter(proven, people[0].member_id)

    async def events(self, organization_id: str | None) -> list[str]:
        """The types in an organization's audit log, the oldest first."""
        assert organization_id is not None
        page = await self.access.audit.list(organization_id, limit=100)
        return [event.type for event in page.data][::-1]
