"""Making, showing, rotating and revoking keys, and that nobody reaches or makes what is not theirs."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Table, select

from antiphon.access import tokens
from antiphon.access.api_key import NewKey, Realm
from antiphon.access.keys import LONGEST_SECONDS
from antiphon.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from antiphon.storage.tables import metadata
from antiphon.values import Caller
from tenants import START, World


async def everything_in(world: World) -> str:
    """Every value in every table."""
    async with world.database.connect() as connection:
        tables: list[Table] = metadata.sorted_tables
        return repr([(await connection.execute(select(table))).all() for table in tables])


async def test_a_key_is_shown_once_and_only_a_hash_of_it_is_stored(world: World) -> None:
    realm = await world.realm()
    key, secret = await world.key(realm, "checkout", scopes={"chat", "models"}, expires_in_seconds=60)
    assert tokens.is_well_formed(secret) and key.id.startswith("key_")
    assert (key.name, key.project, key.scopes) == ("checkout", "shop", ("chat", "models"))
    assert (key.created_at, key.expires_at) == (START, START + 60)
    assert key.redacted == f"{secret[:8]}****{secret[-4:]}"
    _, rotated = await world.access.keys.rotate(realm, key.id, token="a secret token", by=None)
    stored = await everything_in(world)
    for hidden in (secret, secret[8:-4], rotated, rotated[8:-4], "a secret token"):
        assert hidden not in stored
    assert secret[8:-4] not in repr(key)


async def test_each_kind_of_key_has_what_counts_for_it(world: World) -> None:
    acme = await world.organization()
    project, _ = await world.key(Realm(acme.id, (await world.project(acme)).id))
    admin, _ = await world.key(Realm(acme.id), role="reader")
    operator, _ = await world.key(Realm())
    assert (project.kind, project.role, project.scopes) == ("project", None, ("audio", "chat", "models"))
    assert (admin.kind, admin.role, admin.scopes, admin.project) == ("admin", "reader", (), None)
    assert (operator.kind, operator.role, operator.scopes) == ("operator", None, ())
    assert [key.realm.kind for key in (project, admin, operator)] == ["project", "admin", "operator"]


async def test_a_key_belongs_to_whom_it_was_made_for(world: World) -> None:
    realm = await world.realm()
    assert realm.organization_id and realm.project_id
    ann = await world.access.members.add(realm.organization_id, "ann@example.com", "Ann", "member", by=None)
    account, made = await world.access.service_accounts.create(
        realm.organization_id, realm.project_id, "robot", by=None
    )
    assert made is not None
    key, _ = await world.key(realm, member_id=ann.id)
    assert key.owner is not None and made[0].owner is not None
    assert (key.owner.type, key.owner.id, key.owner.email) == ("user", ann.id, "ann@example.com")
    assert (made[0].owner.type, made[0].owner.id) == ("service_account", account.id)
    assert (await world.key(realm))[0].owner is None


async def test_an_owner_from_elsewhere_is_not_found(world: World) -> None:
    ours, theirs = await world.realm("acme"), await world.realm("other")
    assert theirs.organization_id and theirs.project_id
    bob = await world.access.members.add(theirs.organization_id, "bob@example.com", "Bob", "owner", by=None)
    account, _ = await world.access.service_accounts.create(
        theirs.organization_id, theirs.project_id, "robot", by=None
    )
    for member_id in (bob.id, "user-missing"):
        with pytest.raises(NotFound, match=r"^There is no such user\.$"):
            await world.key(ours, member_id=member_id)
    for account_id in (account.id, "svc_acct_missing"):
        with pytest.raises(NotFound, match=r"^There is no such service account\.$"):
            await world.key(ours, service_account_id=account_id)
    with pytest.raises(NotFound):
        await world.key(Realm(theirs.organization_id), service_account_id=account.id)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[31m", "\u202e", "a\0"])
async def test_names_that_cannot_be_shown_are_refused(world: World, name: str) -> None:
    realm = await world.realm()
    key, _ = await world.key(realm)
    for change in (world.key(realm, name), world.access.keys.update(realm, key.id, name=name, by=None)):
        with pytest.raises(InvalidRequest) as caught:
            await change
        assert caught.value.param == "name"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"scopes": {"chat", "org.write"}}, "scopes"),
        ({"scopes": set()}, "scopes"),
        ({"expires_in_seconds": 0}, "expires_in_seconds"),
        ({"expires_in_seconds": -1}, "expires_in_seconds"),
        ({"expires_in_seconds": LONGEST_SECONDS + 1}, "expires_in_seconds"),
    ],
)
async def test_values_that_are_none_are_named(world: World, options: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.key(await world.realm(), **options)
    assert caught.value.param == param


async def test_nothing_is_made_where_there_is_no_realm(world: World) -> None:
    ours, theirs = await world.realm("acme"), await world.realm("other")
    for realm, kind in (
        (Realm("org-missing"), "organization"),
        (Realm(ours.organization_id, "proj_missing"), "project"),
        (Realm(ours.organization_id, theirs.project_id), "project"),
    ):
        with pytest.raises(NotFound, match=rf"^There is no such {kind}\.$"):
            await world.key(realm)


async def test_an_archived_project_gets_no_keys_and_no_new_secrets_but_they_can_be_revoked(
    world: World,
) -> None:
    realm = await world.realm()
    assert realm.organization_id and realm.project_id
    key, _ = await world.key(realm)
    await world.access.projects.archive(realm.organization_id, realm.project_id, by=None)
    for change in (world.key(realm), world.access.keys.rotate(realm, key.id, by=None)):
        with pytest.raises(InvalidRequest, match="archived"):
            await change
    await world.access.keys.revoke(realm, key.id, by=None)


@pytest.mark.requirement("R4")
async def test_no_key_is_given_more_than_its_maker_may(world: World) -> None:
    realm = await world.realm()
    admin, installation = Realm(realm.organization_id), Realm()
    member = await world.caller(admin, role="member")
    project = await world.caller(realm, scopes={"audio"})
    operator_key, _ = await world.key(installation)
    owner_key, _ = await world.key(admin, role="owner")
    create, rotate = world.access.keys.create, world.access.keys.rotate
    for attempt in (
        create(NewKey(realm=admin, name="a", role="owner"), by=member),
        create(NewKey(realm=installation, name="a"), by=member),
        create(NewKey(realm=realm, name="a", scopes={"chat"}), by=project),
        create(NewKey(realm=admin, name="a", role="reader"), by=project),
        rotate(admin, owner_key.id, by=member),
        rotate(installation, operator_key.id, by=member),
    ):
        with pytest.raises(Forbidden):
            await attempt
    await create(NewKey(realm=admin, name="a", role="reader"), by=member)
    await create(NewKey(realm=realm, name="a"), by=member)
    await create(NewKey(realm=realm, name="a", scopes={"audio"}), by=project)


async def test_no_key_is_given_a_longer_life_than_that_of_its_giver(world: World) -> None:
    realm = await world.realm()
    admin, keys = Realm(realm.organization_id), world.access.keys
    by = await world.caller(admin, expires_in_seconds=60)
    endless, _ = await world.key(realm)
    short, _ = await world.key(realm, expires_in_seconds=60)
    for attempt in (
        keys.create(NewKey(realm=admin, name="a"), by=by),
        keys.create(NewKey(realm=realm, name="a", expires_in_seconds=61), by=by),
        keys.update(realm, short.id, expires_in_seconds=61, by=by),
        keys.rotate(realm, endless.id, by=by),
    ):
        with pytest.raises(Forbidden, match="outlasts"):
            await attempt
    await keys.create(NewKey(realm=admin, name="a", expires_in_seconds=60), by=by)
    await keys.update(realm, short.id, expires_in_seconds=60, by=by)
    await keys.update(realm, endless.id, name="b", by=by)
    await keys.rotate(admin, by.key_id, by=by)
    await keys.create(NewKey(realm=realm, name="a"), by=await world.caller(admin))


# --- seeing them -------------------------------------------------------------------------------------------


async def test_the_list_shows_the_keys_of_one_realm_in_pages(world: World) -> None:
    realm, other = await world.realm("acme"), await world.realm("other")
    made = []
    for number in range(5):
        made.append((await world.key(realm, f"key {number}"))[0].id)
        world.wall += number % 2  # some were made in the same second
    await world.key(other)
    await world.key(Realm(realm.organization_id))
    keys = world.access.keys
    first = await keys.list(realm, limit=2)
    second = await keys.list(realm, limit=2, after=first.data[-1].id)
    last = await keys.list(realm, limit=2, after=second.data[-1].id)
    assert [page.has_more for page in (first, second, last)] == [True, True, False]
    seen = [key.id for page in (first, second, last) for key in page.data]
    assert sorted(seen) == sorted(made)
    assert [key.id for key in (await keys.list(realm, order="desc")).data] == seen[::-1]


async def test_revoked_keys_are_listed_only_when_asked_for_and_still_mark_a_place(world: World) -> None:
    realm = await world.realm()
    one = (await world.key(realm, "one"))[0]
    world.wall += 1
    two = (await world.key(realm, "two"))[0]
    keys = world.access.keys
    await keys.revoke(realm, one.id, by=None)
    assert [key.id for key in (await keys.list(realm)).data] == [two.id]
    assert [key.id for key in (await keys.list(realm, after=one.id)).data] == [two.id]
    listed = (await keys.list(None, revoked=True)).data
    assert [key.state(world.wall) for key in listed] == ["revoked", "active"]


async def test_a_place_in_somebody_else_s_list_is_none(world: World) -> None:
    ours, theirs = await world.realm("acme"), await world.realm("other")
    key, _ = await world.key(theirs)
    messages = set()
    for after in (key.id, "key_missing", "", "\0"):
        with pytest.raises(InvalidRequest) as caught:
            await world.access.keys.list(ours, after=after)
        assert caught.value.param == "after"
        messages.add(caught.value.message)
    assert len(messages) == 1


@pytest.mark.parametrize("limit", [0, -1, 101])
async def test_a_page_has_bounds(world: World, limit: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.access.keys.list(None, limit=limit)
    assert caught.value.param == "limit"


async def test_foreign_missing_and_revoked_keys_are_the_same_404(world: World) -> None:
    ours, theirs = await world.realm("acme"), await world.realm("other")
    foreign, _ = await world.key(theirs)
    revoked, _ = await world.key(ours)
    admin, _ = await world.key(Realm(ours.organization_id))
    keys = world.access.keys
    await keys.revoke(ours, revoked.id, by=None)
    messages = set()
    for key_id in (foreign.id, revoked.id, admin.id, "key_missing"):
        for attempt in (
            keys.get(ours, key_id),
            keys.update(ours, key_id, name="b", by=None),
            keys.revoke(ours, key_id, by=None),
            keys.rotate(ours, key_id, by=None),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            messages.add(caught.value.message)
    assert messages == {"There is no such API key."}
    assert (await keys.get(theirs, foreign.id)).name == "a"


async def test_a_key_can_be_changed(world: World) -> None:
    realm = await world.realm()
    key, secret = await world.key(realm)
    keys = world.access.keys
    assert (await keys.update(realm, key.id, name="b", by=None)).name == "b"
    changed = await keys.update(realm, key.id, scopes=["models"], expires_in_seconds=60, by=None)
    assert (changed.name, changed.scopes, changed.expires_at) == ("b", ("models",), START + 60)
    assert await keys.update(realm, key.id, by=None) == changed == await keys.get(realm, key.id)
    assert (await world.access.authenticator.authenticate(secret)).scopes == {"models"}
    for wrong in ({"scopes": ["all"]}, {"scopes": []}, {"expires_in_seconds": 0}):
        with pytest.raises(InvalidRequest):
            await keys.update(realm, key.id, by=None, **wrong)  # type: ignore[arg-type]
    world.wall += 60
    with pytest.raises(InvalidRequest, match="expired"):
        await keys.update(realm, key.id, expires_in_seconds=60, by=None)


@pytest.mark.requirement("R4")
async def test_a_key_is_not_given_more_than_its_changer_may_do(world: World) -> None:
    realm = await world.realm()
    by = await world.caller(realm, scopes=["models"])
    key, _ = await world.key(realm, scopes=["models"])
    with pytest.raises(Forbidden):
        await world.access.keys.update(realm, key.id, scopes=["chat"], by=by)


# --- rotation ----------------------------------------------------------------------------------------------


async def test_a_rotation_keeps_the_id_and_repeats_itself(world: World) -> None:
    realm = await world.realm()
    key, old = await world.key(realm)
    rotate = world.access.keys.rotate
    rotated, new = await rotate(realm, key.id, token="t", grace_seconds=60, by=None)
    before = await everything_in(world)
    world.wall += 30
    again, same = await rotate(realm, key.id, token="t", grace_seconds=5, by=None)
    assert rotated.id == again.id == key.id and old != new == same
    assert tokens.is_well_formed(new) and rotated.redacted == tokens.redacted(new)
    assert await everything_in(world) == before


async def test_rotations_at_once_of_one_token_make_one_secret(world: World) -> None:
    realm = await world.realm()
    key, _ = await world.key(realm)
    made = await asyncio.gather(
        *(world.access.keys.rotate(realm, key.id, token="t", by=None) for _ in range(8))
    )
    assert len({secret for _, secret in made}) == 1
    assert (await world.events(realm.organization_id)).count("api_key.updated") == 1


async def test_rotations_without_a_token_each_make_one(world: World) -> None:
    realm = await world.realm()
    key, _ = await world.key(realm)
    made = {(await world.access.keys.rotate(realm, key.id, by=None))[1] for _ in range(3)}
    assert len(made) == 3


async def test_the_same_token_gives_another_key_another_secret(world: World) -> None:
    realm = await world.realm()
    secrets = set()
    for _ in range(2):
        key, _ = await world.key(realm)
        secrets.add((await world.access.keys.rotate(realm, key.id, token="t", by=None))[1])
    assert len(secrets) == 2


async def test_a_later_rotation_never_lengthens_the_life_of_an_older_secret(world: World) -> None:
    realm = await world.realm()
    key, first = await world.key(realm)
    await world.access.keys.rotate(realm, key.id, token="1", grace_seconds=10, by=None)
    _, third = await world.access.keys.rotate(realm, key.id, token="2", grace_seconds=1000, by=None)
    world.wall += 10
    with pytest.raises(Unauthenticated):
        await world.access.authenticator.authenticate(first)
    await world.access.authenticator.authenticate(third)


async def test_a_rotation_that_was_followed_by_another_is_told_once_its_secret_has_ended(
    world: World,
) -> None:
    realm = await world.realm()
    key, _ = await world.key(realm)
    rotate = world.access.keys.rotate
    _, first = await rotate(realm, key.id, token="1", by=None)
    await rotate(realm, key.id, token="2", grace_seconds=10, by=None)
    assert (await rotate(realm, key.id, token="1", by=None))[1] == first
    world.wall += 10
    with pytest.raises(InvalidRequest) as caught:
        await rotate(realm, key.id, token="1", by=None)
    assert caught.value.param == "rotation_id"


@pytest.mark.parametrize("token", ["", "x" * 256, "a\nb"])
async def test_a_token_has_bounds(world: World, token: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.access.keys.rotate(Realm(), "key_a", token=token, by=None)
    assert caught.value.param == "rotation_id"


@pytest.mark.parametrize("grace", [-1, LONGEST_SECONDS + 1])
async def test_a_grace_has_bounds(world: World, grace: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.access.keys.rotate(Realm(), "key_a", grace_seconds=grace, by=None)
    assert caught.value.param == "grace_seconds"


# --- the log -----------------------------------------------------------------------------------------------


async def test_every_change_is_logged_with_who_made_it(world: World) -> None:
    realm = await world.realm()
    assert realm.organization_id is not None
    by: Caller = await world.caller(Realm(realm.organization_id))
    keys = world.access.keys
    world.wall += 1
    key, _ = await keys.create(NewKey(realm=realm, name="a"), by=by)
    world.wall += 1
    await keys.update(realm, key.id, name="b", by=by)
    world.wall += 1
    await keys.rotate(realm, key.id, by=by)
    world.wall += 1
    await keys.revoke(realm, key.id, by=by)
    logged = (await world.access.audit.list(realm.organization_id)).data[:4][::-1]
    assert [event.type for event in logged] == [
        "api_key.created",
        "api_key.updated",
        "api_key.updated",
        "api_key.deleted",
    ]
    assert {(event.actor_key_id, event.project_id, event.payload["id"]) for event in logged} == {
        (by.key_id, realm.project_id, key.id)
    }
    assert [event.effective_at for event in logged] == [START + 1, START + 2, START + 3, START + 4]


async def test_what_did_not_happen_is_not_logged(world: World) -> None:
    realm = await world.realm()
    before = await world.events(realm.organization_id)
    with pytest.raises(NotFound):
        await world.key(realm, member_id="user-missing")
    with pytest.raises(NotFound):
        await world.access.keys.revoke(realm, "key_missing", by=None)
    assert await world.events(realm.organization_id) == before


async def test_operator_keys_are_logged_where_the_default_organization_looks(world: World) -> None:
    await world.key(Realm())
    default, other = await world.access.organizations.ensure_default(), await world.organization("other")
    assert sorted(await world.events(default.id)) == ["api_key.created", "organization.created"]
    assert await world.events(other.id) == ["organization.created"]
