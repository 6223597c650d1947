"""The first start of an installation, and the refusal to start on somebody else's keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from antiphon.access.access import build, opened
from antiphon.access.api_key import Realm
from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database
from tenants import PASSWORD, PEPPER, World


async def test_the_first_start_makes_the_first_key_and_later_ones_do_not(world: World) -> None:
    secret = (await world.access.ensure_default()).key
    assert secret is not None
    caller = await world.access.authenticator.authenticate(secret)
    assert (caller.organization, caller.project, caller.kind) == ("default", "default", "project")
    assert (await world.access.ensure_default()).key is None
    realm = Realm(caller.organization_id, caller.project_id)
    await world.access.keys.revoke(realm, caller.key_id, by=None)
    assert (await world.access.ensure_default()).key is None, "a key has existed"


async def test_starts_make_a_link_until_somebody_can_sign_in(world: World) -> None:
    first, second = [(await world.access.ensure_default()).link for _ in range(2)]
    assert first and second and first != second
    await world.access.people.redeem(second, PASSWORD, email="ada@example.com", name="Ada")
    assert (await world.access.ensure_default()).link is None


async def test_first_starts_at_once_make_one_key(database: Database, tmp_path: Path) -> None:
    async def start() -> str | None:
        return (await (await opened(database, tmp_path)).ensure_default()).key

    made = await asyncio.gather(*(start() for _ in range(4)))
    assert made.count(None) == 3
    access = await opened(database, tmp_path)
    assert len((await access.organizations.list()).data) == 1
    assert len((await access.keys.list(None)).data) == 1


async def test_a_key_made_before_the_first_start_counts(world: World) -> None:
    await world.key(await world.realm())
    assert (await world.access.ensure_default()).key is None
    default = await world.access.organizations.find("default")
    assert (await world.access.projects.list(default.id)).data == []


async def test_a_data_folder_with_another_pepper_is_refused(database: Database, tmp_path: Path) -> None:
    access = await opened(database, tmp_path / "a")
    await access.ensure_default()
    with pytest.raises(ConfigurationError, match="pepper") as caught:
        await opened(database, tmp_path / "b")
    assert "copy" in caught.value.fix
    (tmp_path / "b" / "pepper").write_bytes((tmp_path / "a" / "pepper").read_bytes())
    await opened(database, tmp_path / "b")


async def test_services_share_their_clock(database: Database) -> None:
    access = build(database, PEPPER, lambda: 5.0)
    assert (await access.organizations.create("a", by=None)).created_at == 5
