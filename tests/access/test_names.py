"""Names for ids, as people see them in reports."""

from __future__ import annotations

from functools import partial

from antiphon.access.names import names
from tenants import World


async def named(world: World, organization_id: str, kind: str, ids: list[str]) -> dict[str, str]:
    async with world.database.connect() as connection:
        return await connection.run_sync(partial(names, organization_id=organization_id, kind=kind, ids=ids))


async def test_what_is_gone_still_has_its_name(world: World) -> None:
    realm = await world.realm()
    owner = realm.organization_id or ""
    await world.joined(owner, "ada@example.com", "owner")
    member_id = await world.joined(owner, "kim@example.com")
    await world.access.members.remove(owner, member_id, by=None)
    key, _ = await world.key(realm, "bot")
    await world.access.keys.revoke(realm, key.id, by=None)
    project_id = realm.project_id or ""
    await world.access.projects.archive(owner, project_id, by=None)
    assert await named(world, owner, "api_key_id", [key.id, "key_none"]) == {key.id: "bot"}
    assert await named(world, owner, "user_id", [member_id]) == {member_id: "Kim"}
    assert await named(world, owner, "project_id", [project_id]) == {project_id: "shop"}
    assert await named(world, owner, "model", ["chat-1"]) == {}


async def test_a_session_is_the_console_and_names_alike_are_told_apart(world: World) -> None:
    realm = await world.realm()
    owner = realm.organization_id or ""
    await world.joined(owner, "ada@example.com")
    secret = await world.signed_in("ada@example.com")
    session = await world.access.authenticator.authenticate(secret)
    one, other = [(await world.key(realm, "bot"))[0].id for _ in range(2)]
    found = await named(world, owner, "api_key_id", [session.key_id, one, other])
    assert found == {
        session.key_id: "the console, ada@example.com",
        one: f"bot (…{one[-4:]})",
        other: f"bot (…{other[-4:]})",
    }


async def test_what_is_another_organization_s_has_no_name_here(world: World) -> None:
    realm, other = await world.realm(), await world.realm("globex", "lab")
    key, _ = await world.key(other, "theirs")
    assert await named(world, realm.organization_id or "", "api_key_id", [key.id]) == {}
