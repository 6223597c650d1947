"""Who is let in, at what cost, and how soon somebody is not let in any more."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.access import authenticator as module
from antiphon.access import tokens
from antiphon.access.access import build, opened
from antiphon.access.api_key import NewKey, Realm
from antiphon.access.authenticator import Authenticator
from antiphon.errors import NotFound, Unauthenticated, Unavailable
from antiphon.privacy import erased
from antiphon.privacy.policies import Policies
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.values import Policy
from tenants import PEPPER, START, World


async def refused(authenticator: Authenticator, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(token)
    return caught.value


async def test_a_project_key_tells_whose_it_is(world: World) -> None:
    realm = await world.realm("acme", "shop")
    key, secret = await world.key(realm, scopes={"audio"})
    caller = await world.access.authenticator.authenticate(secret)
    assert (caller.key_id, caller.kind, caller.scopes) == (key.id, "project", {"audio"})
    assert (caller.organization_id, caller.organization) == (realm.organization_id, "acme")
    assert (caller.project_id, caller.project) == (realm.project_id, "shop")


async def test_engines_know_an_organization_by_a_name_that_tells_nothing(world: World) -> None:
    one, other = await world.realm("acme", "shop"), await world.realm("other", "shop")
    secrets = [(await world.key(realm))[1] for realm in (one, one, other)]
    first, second, third = [await world.access.authenticator.authenticate(secret) for secret in secrets]
    assert first.tenant == second.tenant != third.tenant, "each key of an organization tells the same"
    assert one.organization_id not in first.tenant and len(first.tenant) == 32


async def test_a_key_tells_for_how_long_content_is_kept(world: World) -> None:
    realm = await world.realm()
    organization_id, project_id = realm.organization_id or "", realm.project_id or ""
    _, secret = await world.key(realm)
    policies = Policies(world.database, lambda: world.wall)
    authenticate = world.access.authenticator.authenticate
    assert (await authenticate(secret)).policy == Policy(days=30, stores=True)
    for project, type, days, policy in (
        (None, "none", 7, Policy(days=7)),
        (project_id, "none", 20, Policy(days=20)),
        (project_id, "modified_abuse_monitoring", None, Policy(days=0)),
        (None, "zero_data_retention", None, Policy(days=0)),
        (project_id, "organization_default", None, Policy(days=0, stores=False)),
    ):
        await policies.set(organization_id, project, type, days, by=None)  # type: ignore[arg-type]
        world.monotonic += 0.6  # the longest that one who was seen before is remembered
        assert (await authenticate(secret)).policy == policy
        assert (await world.another_process().authenticate(secret)).policy == policy
    assert (await world.caller(Realm(organization_id))).policy == Policy(days=0, stores=False)


async def test_a_key_tells_when_all_was_erased_of_its_project_or_its_organization(world: World) -> None:
    realm = await world.realm()
    other = await world.project(await world.organization("other"), "shop")
    organization_id, project_id = realm.organization_id or "", realm.project_id or ""
    _, secret = await world.key(realm)
    authenticate = world.access.authenticator.authenticate
    assert (await authenticate(secret)).erased_at == 0
    for scope, at, last in ((project_id, 50, 50), (organization_id, 70, 70), (project_id, 60, 70)):
        await world.database.run(lambda c, s=scope, t=at: erased.note(c, s, t))
        await world.database.run(lambda c: erased.note(c, other.id, 90))
        world.monotonic += 0.6  # the longest that one who was seen before is remembered
        assert (await authenticate(secret)).erased_at == last
        assert (await world.another_process().authenticate(secret)).erased_at == last


async def test_an_admin_key_has_a_role_and_no_project(world: World) -> None:
    acme = await world.organization()
    caller = await world.caller(Realm(acme.id), role="member")
    assert (caller.kind, caller.role, caller.organization_id) == ("admin", "member", acme.id)
    assert caller.project_id == "" and not caller.scopes


async def test_an_operator_s_key_works_where_it_is_told(world: World) -> None:
    acme, other = await world.organization("acme"), await world.organization("other")
    named_like_an_id = await world.organization(acme.id)
    caller = await world.caller(Realm())
    assert (caller.kind, caller.organization_id, caller.organization) == ("operator", "", "")
    within = world.access.authenticator.within
    assert (await within(caller, other.id)).organization == "other"
    assert (await within(caller, "other")).organization_id == other.id
    assert (await within(caller, acme.id)).organization_id == acme.id != named_like_an_id.id
    for missing in ("nobody", "", "a\0", "' OR 1=1 --"):
        with pytest.raises(NotFound, match="no such organization"):
            await within(caller, missing)


@pytest.mark.requirement("R2")
@pytest.mark.parametrize("token", ["", "sk-wrong", "Bearer x", "x" * 100_000, "\ud800", "sk-" + "0" * 49])
async def test_what_is_no_key_is_refused_without_the_database(world: World, token: str) -> None:
    await refused(world.access.authenticator, token)
    assert world.statements == []


async def test_the_refusal_is_openai_s_and_masks_the_key(world: World) -> None:
    secret = tokens.new_secret()
    problem = await refused(world.access.authenticator, secret)
    assert (problem.status, problem.type, problem.code) == (401, "invalid_request_error", "invalid_api_key")
    assert problem.message.startswith(f"Incorrect API key provided: {secret[:8]}****{secret[-4:]}. You can ")
    assert "antiphon keys create" in problem.message and secret[8:-4] not in problem.message


def hostile(count: int) -> list[str]:
    """Tokens that would break a query made of text, a log line or a buffer; some with a right checksum."""
    rng = random.Random(5)
    pieces = [
        "' OR '1'='1", "'; DROP TABLE api_key; --", '" UNION SELECT digest FROM api_key --', "%", "_", "\0",
        "\r\nX-Admin: 1", "${jndi:ldap://x}", "{{7*7}}", "\ud800", "\u202e", "ключ", "🔑", "sk-", "\\",
        "x" * 100_000,
    ]  # fmt: skip
    made = [tokens.new_secret() for _ in range(count // 5)]
    made += [secret[: rng.randrange(52)] + rng.choice(pieces) for secret in made]
    while len(made) < count:
        made.append("".join(rng.choices(pieces[:-1], k=rng.randrange(1, 6))))
    return [*made[: count - 1], "x" * 100_000]


@pytest.mark.requirement("R2")
async def test_500_hostile_tokens_are_all_refused_by_one_and_the_same_query(world: World) -> None:
    _, secret = await world.key(await world.realm())
    await world.access.authenticator.authenticate(secret)
    [query] = world.selects[-1:]
    world.statements.clear()
    for token in hostile(500):
        problem = await refused(world.access.authenticator, token)
        assert problem.message.isprintable() and len(problem.message) < 200
    assert set(world.selects) == {query}, "the text of a query depends on a token"
    assert len(world.selects) == 100, "only what has a right checksum asks the database"


@pytest.mark.requirement("R3")
@given(st.data())
def test_keys_that_share_a_long_beginning_are_never_mistaken(data: st.DataObject) -> None:
    body = tokens.new_secret()[3:46]
    shared = data.draw(st.integers(0, 42))
    other = body[:shared] + data.draw(st.text("0123456789abcXYZ", min_size=43 - shared, max_size=43 - shared))
    one, two = (f"sk-{text}{tokens._check(text)}" for text in (body, other))
    assert (tokens.digest(PEPPER, one) == tokens.digest(PEPPER, two)) == (one == two)


async def test_100_known_keys_do_not_open_the_door_to_those_with_the_same_beginning(world: World) -> None:
    realm = await world.realm()
    for _ in range(100 // 4):
        _, secret = await world.key(realm)
        await world.access.authenticator.authenticate(secret)
        for changed in "0189":
            body = secret[3:45] + (changed if secret[45] != changed else "2")
            await refused(world.access.authenticator, f"sk-{body}{tokens._check(body)}")


@pytest.mark.requirement("R13")
async def test_a_digest_that_the_database_matched_loosely_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = world.access.authenticator
    _, secret = await world.key(await world.realm())
    found = await authenticator._find(tokens.digest(PEPPER, secret))

    async def loose(_: bytes) -> object:
        return found

    monkeypatch.setattr(authenticator._lookups, "_find", loose)
    await refused(authenticator, tokens.new_secret())


async def test_another_pepper_knows_no_key(world: World) -> None:
    _, secret = await world.key(await world.realm())
    await refused(world.another_process(pepper=bytes(32)), secret)


async def test_requests_at_once_ask_the_database_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 10.0)  # a busy machine
    _, secret = await world.key(await world.realm())
    world.statements.clear()
    callers = await asyncio.gather(*(world.access.authenticator.authenticate(secret) for _ in range(200)))
    assert len(set(caller.key_id for caller in callers)) == 1 and len(world.selects) == 1


async def test_an_unknown_key_is_remembered_as_such(world: World) -> None:
    secret = tokens.new_secret()
    for _ in range(20):
        await refused(world.access.authenticator, secret)
    assert len(world.selects) == 1


@pytest.mark.requirement("R13")
async def test_the_query_finds_the_secret_by_an_index(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/antiphon.db") as database:
        await upgrade(database)
        compiled = str(module._SECRETS.compile(database._engine.sync_engine))
        async with database.connect() as connection:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", (b"x",))
            steps = [row.detail for row in plan]
    assert steps and all(step.startswith("SEARCH ") for step in steps), steps


# --- how soon a change counts ------------------------------------------------------------------------------


async def test_a_key_revoked_elsewhere_is_refused_after_half_a_second(world: World) -> None:
    realm = await world.realm()
    key, secret = await world.key(realm)
    here = world.another_process()
    await here.authenticate(secret)
    await world.access.keys.revoke(realm, key.id, by=None)
    world.monotonic += 0.5
    await refused(here, secret)


async def test_the_keys_of_an_archived_project_are_refused_after_half_a_second(world: World) -> None:
    realm = await world.realm()
    assert realm.organization_id and realm.project_id
    _, secret = await world.key(realm)
    here = world.another_process()
    await here.authenticate(secret)
    await world.access.projects.archive(realm.organization_id, realm.project_id, by=None)
    world.monotonic += 0.5
    await refused(here, secret)


async def test_a_member_s_keys_follow_the_member(world: World) -> None:
    acme = await world.organization()
    members, here = world.access.members, world.another_process()
    await members.add(acme.id, "boss@example.com", "Boss", "owner", by=None)
    ann = await members.add(acme.id, "ann@example.com", "Ann", "owner", by=None)
    _, secret = await world.key(Realm(acme.id), role="owner", member_id=ann.id)
    _, small = await world.key(Realm(acme.id), role="reader", member_id=ann.id)
    assert (await here.authenticate(secret)).role == "owner"
    assert (await here.authenticate(small)).role == "reader"
    await members.change_role(acme.id, ann.id, "member", by=None)
    world.monotonic += 0.5
    caller = await here.authenticate(secret)
    assert (caller.role, caller.member_id) == ("member", ann.id)
    assert (await here.authenticate(small)).role == "reader"
    await members.remove(acme.id, ann.id, by=None)
    world.monotonic += 0.5
    await refused(here, secret)


async def test_a_key_expires_at_its_time_even_if_it_is_remembered(world: World) -> None:
    key, secret = await world.key(await world.realm(), expires_in_seconds=10)
    world.wall = START + 9.9
    assert (await world.access.authenticator.authenticate(secret)).key_id == key.id
    world.wall = START + 10.0
    await refused(world.access.authenticator, secret)


async def test_both_secrets_count_in_the_grace_of_a_rotation_and_then_the_new_one(world: World) -> None:
    realm = await world.realm()
    key, old = await world.key(realm)
    here = world.another_process()
    await here.authenticate(old)
    _, new = await world.access.keys.rotate(realm, key.id, grace_seconds=60, by=None)
    world.monotonic += 0.5
    world.wall += 59.9
    assert {(await here.authenticate(secret)).key_id for secret in (old, new)} == {key.id}
    world.wall += 0.1
    await refused(here, old)
    await here.authenticate(new)


async def test_a_rotation_without_grace_ends_the_old_secret_after_half_a_second(world: World) -> None:
    realm = await world.realm()
    key, old = await world.key(realm)
    here = world.another_process()
    await here.authenticate(old)
    await world.access.keys.rotate(realm, key.id, grace_seconds=0, by=None)
    world.monotonic += 0.5
    await refused(here, old)


async def test_a_key_revoked_by_another_process_is_refused_within_a_second(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/antiphon.db") as database:
        await upgrade(database)
        access = await opened(database, tmp_path)
        organization = await access.organizations.ensure_default()
        key, secret = await access.keys.create(NewKey(realm=Realm(organization.id), name="a"), by=None)

        async def use() -> None:
            while True:
                with suppress(Unavailable):  # a busy machine; the key is asked for again
                    await access.authenticator.authenticate(secret)
                await asyncio.sleep(0.02)

        using = asyncio.create_task(use())
        program = "from antiphon.cli.keys import keys; keys()"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "revoke", key.id, "--home", str(tmp_path)
        )
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        with pytest.raises(Unauthenticated):
            async with asyncio.timeout(3 * 1.0):
                await using


# --- a database in trouble ---------------------------------------------------------------------------------


async def test_a_hanging_database_is_unavailable_and_not_a_refusal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.LOOKUP_SECONDS <= 1.0
    authenticator = world.access.authenticator
    _, secret = await world.key(await world.realm())

    async def never(_: bytes) -> None:
        await asyncio.Event().wait()

    real = authenticator._lookups._find
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.01)
    monkeypatch.setattr(authenticator._lookups, "_find", never)
    with pytest.raises(Unavailable):
        await authenticator.authenticate(secret)
    monkeypatch.setattr(authenticator._lookups, "_find", real)
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 5)
    world.monotonic += 0.5
    await authenticator.authenticate(secret)


async def test_an_operator_s_organization_that_is_not_found_in_time_is_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await world.caller(Realm())
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.0)
    with pytest.raises(Unavailable):
        await world.access.authenticator.within(caller, "default")


async def test_a_broken_database_is_unavailable_and_asked_again_next_time(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as database:
        authenticator = build(database, PEPPER).authenticator
        for _ in range(2):
            with pytest.raises(Unavailable):
                await authenticator.authenticate(tokens.new_secret())
            await asyncio.sleep(0)
            assert len(authenticator._lookups) == 0


# --- the last use ------------------------------------------------------------------------------------------


async def last_used(world: World) -> dict[str, int | None]:
    return {key.name: key.last_used_at for key in (await world.access.keys.list(None)).data}


async def test_the_last_use_is_written_when_asked_and_not_before(world: World) -> None:
    realm = await world.realm()
    _, used = await world.key(realm, "used")
    await world.key(realm, "idle")
    await world.access.authenticator.authenticate(used)
    assert await last_used(world) == {"used": None, "idle": None}
    await world.access.authenticator.flush_used()
    assert await last_used(world) == {"used": START, "idle": None}


async def test_the_last_use_is_written_at_most_once_a_minute(world: World) -> None:
    _, secret = await world.key(await world.realm())
    for later, written in ((0, START), (59, START), (60, START + 60), (50, START + 60)):
        world.wall = float(START + later)
        await world.access.authenticator.authenticate(secret)
        await world.access.authenticator.flush_used()
        assert await last_used(world) == {"a": written}, later


async def test_without_a_use_nothing_is_written(world: World) -> None:
    await refused(world.access.authenticator, tokens.new_secret())
    world.statements.clear()
    await world.access.authenticator.flush_used()
    assert world.statements == []


async def test_the_uses_that_wait_to_be_written_are_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    realm = await world.realm()
    secrets = {name: (await world.key(realm, name))[1] for name in ("a", "b")}
    monkeypatch.setattr(module, "REMEMBERED", 1)
    for name in ("a", "b", "a"):
        world.wall += 1
        await world.access.authenticator.authenticate(secrets[name])
    await world.access.authenticator.flush_used()
    assert await last_used(world) == {"a": START + 3, "b": None}


async def test_a_repr_of_what_is_held_in_memory_shows_no_key(world: World) -> None:
    key, secret = await world.key(await world.realm())
    authenticator = world.access.authenticator
    caller = await authenticator.authenticate(secret)
    questions = [vars(question) for question in authenticator._lookups._questions.values()]
    held = repr((key, caller, questions, vars(authenticator)))
    assert secret[8:-4] not in held


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.fault("the wall clock saws by a second")
async def test_keys_are_valid_for_as_long_as_the_clock_says(world: World) -> None:
    realm = await world.realm()
    _, lasting = await world.key(realm)
    _, short = await world.key(realm, expires_in_seconds=1800)
    authenticate = world.access.authenticator.authenticate
    for wall in (START - 3600, START + 1799.0, *[START + 1798.0, START + 1799.0] * 5):
        world.wall, world.monotonic = wall, world.monotonic + 60  # nothing is remembered for so long
        assert (await authenticate(lasting)).key_id != (await authenticate(short)).key_id
    world.wall = START + 3600.0
    assert await authenticate(lasting)
    await refused(world.access.authenticator, short)
    _, new = await world.key(realm, expires_in_seconds=86_400)
    world.wall = float(START)
    # Set right again: what had not expired is valid, and what was made in what is the future now, too.
    for secret in (lasting, short, new):
        assert await authenticate(secret)


async def test_no_clock_makes_a_revoked_key_valid(world: World) -> None:
    realm = await world.realm()
    key, secret = await world.key(realm)
    assert await world.access.authenticator.authenticate(secret)
    await world.access.keys.revoke(realm, key.id, by=None)
    world.wall -= 3600
    world.monotonic += 60
    await refused(world.access.authenticator, secret)
