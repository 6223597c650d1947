"""Every service of this package over one database, built once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from antiphon.access.audit import Audit
from antiphon.access.authenticator import Authenticator
from antiphon.access.keys import Keys
from antiphon.access.members import Members
from antiphon.access.organizations import Organizations
from antiphon.access.pepper import check_pepper, load_pepper
from antiphon.access.projects import Projects
from antiphon.access.service_accounts import ServiceAccounts
from antiphon.access.tenancy import DEFAULT
from antiphon.storage.database import Database


class Access(msgspec.Struct, frozen=True):
    """Who there is, and what each may do."""

    organizations: Organizations
    projects: Projects
    members: Members
    service_accounts: ServiceAccounts
    keys: Keys
    audit: Audit
    authenticator: Authenticator

    async def ensure_default(self) -> str | None:
        """Make the default organization, and the first key of its default project: the key's secret.

        None where any key has ever existed.
        """
        organization = await self.organizations.ensure_default()
        if await self.keys.has_ever_existed():
            return None
        project = await self.projects.ensure(organization.id, DEFAULT, by=None)
        return await self.keys.ensure_first(organization.id, project.id)


def build(
    database: Database,
    pepper: bytes,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    lookups: Database | None = None,
) -> Access:
    """The services. `pepper` as `load_pepper` gives it; `clock` in unix seconds.

    Callers are looked up through `lookups`, if given.
    """
    keys = Keys(database, pepper, clock)
    return Access(
        organizations=Organizations(database, clock),
        projects=Projects(database, clock),
        members=Members(database, keys, clock),
        service_accounts=ServiceAccounts(database, keys, clock),
        keys=keys,
        audit=Audit(database),
        authenticator=Authenticator(lookups or database, pepper, clock=clock, monotonic=monotonic),
    )


async def opened(database: Database, home: Path, lookups: Database | None = None) -> Access:
    """The services over an upgraded database, with the pepper in `home`. `lookups` as in `build`.

    Raises `ConfigurationError` for a pepper that is not the one of this database's keys.
    """
    pepper = await asyncio.to_thread(load_pepper, home)
    await check_pepper(database, pepper)
    return build(database, pepper, lookups=lookups)
