"""The administration API on a real socket, over a real database, with an organization to administrate."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from antiphon.access.api_key import Realm
from antiphon.access.organizations import Organization
from antiphon.access.pepper import check_pepper
from antiphon.access.projects import Project
from antiphon.admission.gate import Gate
from antiphon.admission.store import RateLimits, SpendLimits
from antiphon.api.admin.table import Administration, Moderation, rows
from antiphon.api.routes import Route
from antiphon.moderation.scorers import panel
from antiphon.moderation.thresholds import ThresholdStore
from antiphon.operations.dedicated import Dedicated
from antiphon.operations.incidents import Incidents
from antiphon.operations.moderating import Moderating
from antiphon.pools import machines
from antiphon.privacy.consent import Consents
from antiphon.privacy.policies import Policies
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.tables import usage_rollup
from antiphon.values import Capacity
from service import CHAT, SPEECH, Service, catalogue, serving
from stored_completions import InMemory
from tenants import PEPPER, World

ORGANIZATION = "/v1/organization"
OPERATOR = "/v1/operator/organizations"


class House:
    """An organization `acme` with a project `shop`; `owner` and `operator` are keys of those roles."""

    def __init__(
        self,
        world: World,
        service: Service,
        organization: Organization,
        project: Project,
        keys: tuple[str, str],
        dedicated: Dedicated,
        stored: InMemory,
    ) -> None:
        self.world = world
        self.service = service
        self.organization = organization
        self.project = project
        self.owner, self.operator = keys
        self.dedicated = dedicated
        self.stored = stored

    @property
    def realm(self) -> Realm:
        return Realm(self.organization.id, self.project.id)

    @property
    def at_project(self) -> str:
        """The path of the project."""
        return f"{ORGANIZATION}/projects/{self.project.id}"

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and body, as the owner unless another key is shown. A second passes before each change."""
        if method != "GET":
            self.world.wall += 1
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["authorization"] = f"Bearer {key or self.owner}"
        options = {} if body is None else {"json": body}
        status, _, answer = await self.service.call(method, path, headers=named, **options)
        return status, answer

    async def get(self, path: str, *, key: str | None = None) -> Any:
        """The body of what must be found."""
        status, answer = await self.call("GET", path, key=key)
        assert status == 200, answer
        return answer

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Any:
        """The body of what must be done."""
        status, answer = await self.call("POST", path, body, key=key, **headers)
        assert status == 200, answer
        return answer

    async def refused(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> tuple[int, str | None, str | None]:
        """Status, code and parameter of the error."""
        status, answer = await self.call(method, path, body, key=key, **headers)
        assert status >= 400, answer
        return status, answer["error"]["code"], answer["error"]["param"]

    async def equip(self, cpus: int, memory: int = 64 << 30, *, seconds: int = 0) -> None:
        """Let there be a machine with so many processors, which is heard of for so many seconds longer."""
        at = int(self.world.wall) + seconds
        there = {"rack-1": Capacity(cpus=cpus * 1000, memory=memory)}
        async with self.world.database.begin() as connection:
            await connection.run_sync(partial(machines.tell, server="here", machines=there, now=at))

    async def use(self, start: int, **row: Any) -> None:
        """Usage as the ledger writes it: for the minute, the hour and the day of `start`."""
        await used(self.world, self.realm, start, **row)


_COUNTS = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "seconds",
    "input_cost",
    "output_cost",
    "audio_cost",
)


async def used(world: World, realm: Realm, start: int, **row: Any) -> None:
    """Usage of a project as the ledger writes it: for the minute, the hour and the day of `start`."""
    common = {
        "organization_id": realm.organization_id,
        "project_id": realm.project_id,
        "key_id": "key_1",
        "snapshot": SPEECH if row.get("task") == "speech" else "chat-1",
        "task": "chat",
        "member_id": None,
        "requests": 1,
        **dict.fromkeys(_COUNTS, 0),
    }
    async with world.database.begin() as connection:
        for width in (60, 3600, 86_400):
            place = {"width": width, "start": start - start % width}
            await connection.execute(insert(usage_rollup).values({**common, **row, **place}))


OFFERED = {"snapshots": {SPEECH: {"dedicated": {"price_per_hour": "1.50"}}}}
"""What may be ordered as an instance."""


def dedicated(world: World, folder: Path) -> Dedicated:
    """Dedicated instances, where one snapshot is offered."""
    offering = catalogue(folder, OFFERED)
    return Dedicated(world.database, lambda: offering, Settings(home=str(folder)), lambda: world.wall)


def admin_rows(world: World, instances: Dedicated) -> list[Route]:
    """The rows of the administration API, where two snapshots are served."""
    return rows(Administration(**administration(world, instances)))


def administration(world: World, instances: Dedicated) -> dict[str, Any]:
    """The services behind them."""
    return dict(
        access=world.access,
        rate_limits=RateLimits(
            world.database, Settings(), clock=lambda: world.wall, monotonic=lambda: world.monotonic
        ),
        spend_limits=SpendLimits(world.database, clock=lambda: world.wall),
        snapshots=lambda: (CHAT, SPEECH),
        dedicated=instances,
        policies=Policies(world.database, lambda: world.wall),
        consents=Consents(world.database, lambda: world.wall),
        incidents=Incidents(world.database, 99.9, lambda: world.wall),
        database=world.database,
        clock=lambda: world.wall,
        moderation=Moderation(
            panel(Settings(home="/nowhere", moderation_scorers="rules")),
            Gate(Settings()),
            Moderating(world.database, lambda: world.wall),
            ThresholdStore(world.database, lambda: world.wall),
        ),
    )


@asynccontextmanager
async def administrating(folder: Path, migrated: Path) -> AsyncIterator[House]:
    """The API over a copy of the empty database `migrated`."""
    path = shutil.copy(migrated, folder / "antiphon.db")
    async with Database(f"sqlite+aiosqlite:///{path}") as database:
        await check_pepper(database, PEPPER)
        world = World(database)
        organization = await world.organization("acme")
        world.wall += 1
        project = await world.project(organization, "shop")
        world.wall += 1
        _, owner = await world.key(Realm(organization.id), "owner")
        _, operator = await world.key(Realm(), "operator")
        access = world.access.authenticator
        instances = dedicated(world, folder)
        admin, stored = admin_rows(world, instances), InMemory()
        async with serving(folder, authenticator=access, admin=admin, stored=stored) as service:
            yield House(world, service, organization, project, (owner, operator), instances, stored)
