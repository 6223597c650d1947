"""Every service of this package over one database, built once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from antiphon.access.audit import Audit
from antiphon.access.authenticator import Authenticator
from antiphon.access.entering import Entering
from antiphon.access.keys import Keys
from antiphon.access.members import Members
from antiphon.access.organizations import Organizations
from antiphon.access.people import People
from antiphon.access.pepper import check_pepper, load_pepper
from antiphon.access.projects import Projects
from antiphon.access.service_accounts import ServiceAccounts
from antiphon.access.sessions import HOURS, Sessions
from antiphon.access.tenancy import DEFAULT
from antiphon.storage.database import Database


class Firsts(msgspec.Struct, frozen=True):
    """What a start shows, once: the secret of the first key, where none has ever existed, and that of a
    sign-in link for a first owner, where nobody can sign in yet."""

    key: str | None = None
    link: str | None = None


class Access(msgspec.Struct, frozen=True):
    """Who there is, and what each may do."""

    organizations: Organizations
    projects: Projects
    members: Members
    service_accounts: ServiceAccounts
    keys: Keys
    people: People
    sessions: Sessions
    entering: Entering
    audit: Audit
    authenticator: Authenticator

    async def ensure_default(self) -> Firsts:
        """Make the default organization, the first key of its default project, and a first sign-in link."""
        organization = await self.organizations.ensure_default()
        key = link = None
        if not await self.keys.has_ever_existed():
            project = await self.projects.ensure(organization.id, DEFAULT, by=None)
            key = await self.keys.ensure_first(organization.id, project.id)
        if not await self.people.anybody():
            link = await self.people.link(organization.id, None, by=None)
        return Firsts(key, link)


def build(
    database: Database,
    pepper: bytes,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    lookups: Database | None = None,
    session_hours: float = HOURS,
) -> Access:
    """The services. `pepper` as `load_pepper` gives it; `clock` in unix seconds.

    Callers are looked up through `lookups`, if given.
    """
    keys = Keys(database, pepper, clock)
    members = Members(database, keys, clock)
    sessions = Sessions(database, pepper, clock, session_hours)
    return Access(
        organizations=Organizations(database, clock),
        projects=Projects(database, clock),
        members=members,
        service_accounts=ServiceAccounts(database, keys, clock),
        keys=keys,
        people=People(database, pepper, members, sessions, clock),
        sessions=sessions,
        entering=Entering(database, pepper, sessions, clock),
        audit=Audit(database),
        authenticator=Authenticator(lookups or database, pepper, clock=clock, monotonic=monotonic),
    )


async def opened(
    database: Database, home: Path, lookups: Database | None = None, session_hours: float = HOURS
) -> Access:
    """The services over an upgraded database, with the pepper in `home`; the rest as in `build`.

    Raises `ConfigurationError` for a pepper that is not the one of this database's keys.
    """
    pepper = await asyncio.to_thread(load_pepper, home)
    await check_pepper(database, pepper)
    return build(database, pepper, lookups=lookups, session_hours=session_hours)
