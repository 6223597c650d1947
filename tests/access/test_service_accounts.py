from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from antiphon.access.api_key import Realm
from antiphon.errors import InvalidRequest, NotFound
from tenants import START, World


class Shop:
    """A project and the ids that lead to it."""

    def __init__(self, world: World, realm: Realm) -> None:
        assert realm.organization_id and realm.project_id
        self.realm = realm
        self.place = (realm.organization_id, realm.project_id)
        self.accounts = world.access.service_accounts


async def shop(world: World, organization: str = "acme") -> Shop:
    return Shop(world, await world.realm(organization))


async def test_an_account_is_made_with_a_key(world: World) -> None:
    ours = await shop(world)
    account, made = await ours.accounts.create(
        *ours.place, "robot", role="owner", expires_in_seconds=60, by=None
    )
    assert account.id.startswith("svc_acct_") and account.created_at == START
    assert made is not None and (made[0].expires_at, made[0].name) == (START + 60, "robot")
    caller = await world.access.authenticator.authenticate(made[1])
    assert (caller.project_id, caller.member_id) == (ours.place[1], None)
    assert await ours.accounts.get(*ours.place, account.id) == account


async def test_an_account_may_begin_without_a_key_and_get_more_later(world: World) -> None:
    ours = await shop(world)
    account, made = await ours.accounts.create(*ours.place, "robot", with_key=False, by=None)
    assert made is None and (await world.access.keys.list(ours.realm)).data == []
    key, _ = await world.key(ours.realm, service_account_id=account.id)
    assert key.owner is not None and key.owner.id == account.id


async def test_what_cannot_have_its_key_is_not_made(world: World) -> None:
    ours = await shop(world)
    with pytest.raises(InvalidRequest):
        await ours.accounts.create(*ours.place, "robot", expires_in_seconds=0, by=None)
    assert (await ours.accounts.list(*ours.place)).data == []
    assert "service_account.created" not in await world.events(ours.place[0])


async def test_a_deleted_account_s_keys_are_revoked_and_no_other(world: World) -> None:
    ours = await shop(world)
    account, _ = await ours.accounts.create(*ours.place, "robot", by=None)
    await world.key(ours.realm, service_account_id=account.id)
    other, _ = await world.key(ours.realm)
    await ours.accounts.delete(*ours.place, account.id, by=None)
    assert [key.id for key in (await world.access.keys.list(ours.realm)).data] == [other.id]
    assert (await world.events(ours.place[0])).count("api_key.deleted") == 2


async def test_keys_are_revoked_in_the_order_in_which_their_use_is_written(world: World) -> None:
    ours = await shop(world)
    account, _ = await ours.accounts.create(*ours.place, "robot", with_key=False, by=None)
    made = [(await world.key(ours.realm, service_account_id=account.id))[0].id for _ in range(8)]
    changed: list[str] = []

    def see(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("UPDATE api_key SET revoked_at"):
            changed.append(parameters[1])

    event.listen(world.database._engine.sync_engine, "before_cursor_execute", see)
    await ours.accounts.delete(*ours.place, account.id, by=None)
    assert changed == sorted(made)


async def test_foreign_missing_and_deleted_accounts_are_the_same_404(world: World) -> None:
    ours, theirs = await shop(world, "acme"), await shop(world, "other")
    foreign, _ = await theirs.accounts.create(*theirs.place, "robot", by=None)
    gone, _ = await ours.accounts.create(*ours.place, "robot", by=None)
    await ours.accounts.delete(*ours.place, gone.id, by=None)
    messages = set()
    for account_id in (foreign.id, gone.id, "svc_acct_missing"):
        for attempt in (
            ours.accounts.get(*ours.place, account_id),
            ours.accounts.update(*ours.place, account_id, name="b", by=None),
            ours.accounts.delete(*ours.place, account_id, by=None),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            messages.add(caught.value.message)
    assert messages == {"There is no such service account."}


async def test_a_project_that_is_foreign_or_missing_is_the_same_404(world: World) -> None:
    ours, theirs = await shop(world, "acme"), await shop(world, "other")
    foreign, _ = await theirs.accounts.create(*theirs.place, "robot", by=None)
    messages = set()
    for project_id in (theirs.place[1], "proj_missing"):
        for attempt in (
            ours.accounts.create(ours.place[0], project_id, "robot", by=None),
            ours.accounts.list(ours.place[0], project_id),
            ours.accounts.get(ours.place[0], project_id, foreign.id),
            ours.accounts.update(ours.place[0], project_id, foreign.id, name="b", by=None),
            ours.accounts.delete(ours.place[0], project_id, foreign.id, by=None),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            messages.add(caught.value.message)
    assert messages == {"There is no such project."}


async def test_an_archived_project_gets_no_accounts(world: World) -> None:
    ours = await shop(world)
    account, _ = await ours.accounts.create(*ours.place, "robot", by=None)
    await world.access.projects.archive(*ours.place, by=None)
    for attempt in (
        ours.accounts.create(*ours.place, "robot", by=None),
        ours.accounts.update(*ours.place, account.id, name="b", by=None),
    ):
        with pytest.raises(InvalidRequest, match="archived"):
            await attempt


async def test_an_account_can_be_changed(world: World) -> None:
    ours = await shop(world)
    account, _ = await ours.accounts.create(*ours.place, "robot", by=None)
    changed = await ours.accounts.update(*ours.place, account.id, name="b", role="owner", by=None)
    assert (changed.name, changed.role) == ("b", "owner")
    assert await ours.accounts.update(*ours.place, account.id, by=None) == changed
    assert (await world.events(ours.place[0])).count("service_account.updated") == 1
    for name in ("", "a\nb"):
        with pytest.raises(InvalidRequest):
            await ours.accounts.update(*ours.place, account.id, name=name, by=None)


async def test_they_are_listed_in_pages(world: World) -> None:
    ours = await shop(world)
    made = []
    for number in range(3):
        world.wall += 1
        made.append((await ours.accounts.create(*ours.place, f"robot {number}", by=None))[0])
    first = await ours.accounts.list(*ours.place, limit=2)
    rest = await ours.accounts.list(*ours.place, limit=2, after=first.data[-1].id)
    assert first.data + rest.data == made and (first.has_more, rest.has_more) == (True, False)
    await ours.accounts.delete(*ours.place, made[0].id, by=None)
    assert (await ours.accounts.list(*ours.place)).data == made[1:]
