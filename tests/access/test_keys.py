from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from antiphon.access import keys as module
from antiphon.access import tokens
from antiphon.access.keys import Keys
from antiphon.access.pepper import load_pepper
from antiphon.errors import InvalidRequest, NotFound, Unauthenticated, Unavailable
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from antiphon.storage.tables import organization

START = 1_800_000_000


class World:
    """Keys over a database, with clocks that stand still, and the statements that were executed."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self.database = database
        self.pepper = pepper
        self.wall = float(START)
        self.monotonic = 50.0
        self.keys = self.another()
        self.statements: list[str] = []
        event.listen(database._reader.sync_engine, "before_cursor_execute", self._record)

    def another(self, pepper: bytes | None = None) -> Keys:
        """What another process would hold: the same database, its own memory."""
        return Keys(
            self.database,
            pepper or self.pepper,
            clock=lambda: self.wall,
            monotonic=lambda: self.monotonic,
        )

    def _record(self, *arguments: object) -> None:
        self.statements.append(str(arguments[2]))

    @property
    def selects(self) -> list[str]:
        return [statement for statement in self.statements if statement.startswith("SELECT")]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/antiphon.db") as database:
        await upgrade(database)
        yield World(database, load_pepper(tmp_path))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def refused(keys: Keys, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await keys.authenticate(token)
    return caught.value


async def test_a_key_tells_whose_it_is(world: World) -> None:
    key, secret = await world.keys.create("shop", "checkout")
    caller = await world.keys.authenticate(secret)
    assert caller.key_id == key.id and key.id.startswith("key_")
    assert caller.project_id.startswith("proj_")
    assert caller.organization_id.startswith("org-") and caller.organization == "default"


async def test_only_a_hash_made_with_the_pepper_is_stored(world: World, tmp_path: Path) -> None:
    _, secret = await world.keys.create("default", "a")
    await world.keys.authenticate(secret)
    assert secret[8:-4].encode() not in await asyncio.to_thread(everything_in, tmp_path)
    await refused(world.another(pepper=bytes(32)), secret)


@pytest.mark.parametrize("token", ["", "sk-wrong", "Bearer x", "x" * 100_000, "\ud800", "sk-" + "0" * 49])
async def test_what_is_no_key_is_refused_without_the_database(world: World, token: str) -> None:
    await refused(world.keys, token)
    assert world.statements == []


async def test_the_refusal_is_openai_s_and_masks_the_key(world: World) -> None:
    secret = tokens.new_secret()
    problem = await refused(world.keys, secret)
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


async def test_500_hostile_tokens_are_all_refused_by_one_and_the_same_query(world: World) -> None:
    _, secret = await world.keys.create("default", "a")
    await world.keys.authenticate(secret)
    [query] = world.selects[-1:]
    world.statements.clear()
    for token in hostile(500):
        problem = await refused(world.keys, token)
        assert problem.message.isprintable() and len(problem.message) < 200
    assert set(world.selects) == {query}, "the text of a query depends on a token"
    assert len(world.selects) == 100, "only what has a right checksum asks the database"
    assert len(await world.keys.list()) == 1


@given(st.data())
async def test_keys_that_share_a_long_beginning_are_never_mistaken(data: st.DataObject) -> None:
    body = tokens.new_secret()[3:46]
    shared = data.draw(st.integers(0, 42))
    other = body[:shared] + data.draw(st.text("0123456789abcXYZ", min_size=43 - shared, max_size=43 - shared))
    one, two = (f"sk-{text}{tokens._check(text)}" for text in (body, other))
    keys = Keys(Database("sqlite+aiosqlite:////nonexistent/a.db"), bytes(32))
    assert (keys._digest(one) == keys._digest(two)) == (one == two)


async def test_a_remembered_key_does_not_open_the_door_to_one_with_the_same_beginning(world: World) -> None:
    _, secret = await world.keys.create("default", "a")
    await world.keys.authenticate(secret)
    body = secret[3:45] + ("0" if secret[45] != "0" else "1")
    await refused(world.keys, f"sk-{body}{tokens._check(body)}")


async def test_a_digest_that_the_database_matched_loosely_is_refused(world: World) -> None:
    _, secret = await world.keys.create("default", "a")
    found = await world.keys._find(world.keys._digest(secret))

    async def loose(_: bytes) -> object:
        return found

    world.keys._lookups._find = loose  # type: ignore[assignment]
    await refused(world.keys, tokens.new_secret())


async def test_requests_at_once_ask_the_database_once(world: World) -> None:
    _, secret = await world.keys.create("default", "a")
    world.statements.clear()
    callers = await asyncio.gather(*(world.keys.authenticate(secret) for _ in range(200)))
    assert len(set(caller.key_id for caller in callers)) == 1 and len(world.selects) == 1


async def test_an_unknown_key_is_remembered_as_such(world: World) -> None:
    secret = tokens.new_secret()
    for _ in range(20):
        await refused(world.keys, secret)
    assert len(world.selects) == 1


async def test_a_key_revoked_elsewhere_is_refused_within_a_second(world: World) -> None:
    key, secret = await world.keys.create("default", "a")
    await world.keys.authenticate(secret)
    await world.another().revoke(key.id)
    world.monotonic += 0.5
    await refused(world.keys, secret)


async def test_a_key_revoked_by_another_process_is_refused_within_a_second(
    world: World, tmp_path: Path
) -> None:
    keys = Keys(world.database, world.pepper)
    key, secret = await keys.create("default", "a")

    async def use() -> None:
        while True:
            await keys.authenticate(secret)
            await asyncio.sleep(0.02)

    using = asyncio.create_task(use())
    program = "from antiphon.cli.keys import keys; keys()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "revoke", key.id, "--home", str(tmp_path)
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    with pytest.raises(Unauthenticated):
        async with asyncio.timeout(1.0):
            await using


async def test_revoking_twice_keeps_the_first_time(world: World) -> None:
    key, _ = await world.keys.create("default", "a")
    await world.keys.revoke(key.id)
    world.wall += 100
    await world.keys.revoke(key.id)
    [listed] = await world.keys.list()
    assert listed.revoked_at == START and listed.state(world.wall) == "revoked"


async def test_revoking_what_does_not_exist_says_so(world: World) -> None:
    with pytest.raises(NotFound, match="key_nope"):
        await world.keys.revoke("key_nope")


async def test_a_key_expires_at_its_time(world: World) -> None:
    key, secret = await world.keys.create("default", "a", expires=START + 10)
    world.wall = START + 9.9
    assert (await world.keys.authenticate(secret)).key_id == key.id
    assert key.state(world.wall) == "active"
    world.wall = START + 10.0
    await refused(world.keys, secret)
    assert key.state(world.wall) == "expired"


async def test_a_slow_database_is_unavailable_and_not_a_refusal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = await world.keys.create("default", "a")

    async def never(_: bytes) -> None:
        await asyncio.Event().wait()

    real = world.keys._lookups._find
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 0.01)
    monkeypatch.setattr(world.keys._lookups, "_find", never)
    with pytest.raises(Unavailable):
        await world.keys.authenticate(secret)
    monkeypatch.setattr(world.keys._lookups, "_find", real)
    monkeypatch.setattr(module, "LOOKUP_SECONDS", 5)
    world.monotonic += 0.5
    await world.keys.authenticate(secret)


async def test_a_broken_database_is_unavailable_and_asked_again_next_time(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/a.db") as database:
        keys = Keys(database, bytes(32))
        for _ in range(2):
            with pytest.raises(Unavailable):
                await keys.authenticate(tokens.new_secret())
            await asyncio.sleep(0)
            assert len(keys._lookups) == 0


async def test_the_first_start_makes_the_first_key_and_later_ones_do_not(world: World) -> None:
    secret = await world.keys.ensure_default()
    assert secret is not None
    caller = await world.keys.authenticate(secret)
    assert caller.organization == "default"
    assert await world.keys.ensure_default() is None
    await world.keys.revoke(caller.key_id)
    assert await world.another().ensure_default() is None, "a key has existed"
    [listed] = await world.keys.list()
    assert listed.project == "default"


async def test_two_first_starts_at_once_make_one_key(world: World) -> None:
    made = await asyncio.gather(world.keys.ensure_default(), world.another().ensure_default())
    assert made.count(None) == 1
    async with world.database.connect() as connection:
        assert len((await connection.execute(select(organization))).all()) == 1


async def test_a_key_made_before_the_first_start_counts(world: World) -> None:
    await world.keys.create("default", "a")
    assert await world.keys.ensure_default() is None


async def test_projects_are_made_once_by_name(world: World) -> None:
    secrets = [(await world.keys.create(project, "a"))[1] for project in ("shop", "default", "shop")]
    callers = [await world.keys.authenticate(secret) for secret in secrets]
    assert callers[0].project_id == callers[2].project_id != callers[1].project_id
    assert len({caller.organization_id for caller in callers}) == 1


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x1b[31m", "\u202e"])
async def test_names_that_cannot_be_shown_are_refused(world: World, name: str) -> None:
    for project, key, param in ((name, "a", "project"), ("default", name, "name")):
        with pytest.raises(InvalidRequest) as caught:
            await world.keys.create(project, key)
        assert caught.value.param == param
    assert await world.keys.list() == []


async def test_the_list_shows_every_key_oldest_first_and_no_secret(world: World) -> None:
    made = []
    for name in ("c", "a", "b"):
        made.append(await world.keys.create("shop", name, expires=START + 99))
        world.wall += 1
    listed = await world.keys.list()
    assert listed == [key for key, _ in made]
    assert listed[0].redacted == f"{made[0][1][:8]}****{made[0][1][-4:]}"


async def last_used(world: World) -> dict[str, int | None]:
    return {key.name: key.last_used_at for key in await world.keys.list()}


async def test_the_last_use_is_written_when_asked_and_not_before(world: World) -> None:
    _, used = await world.keys.create("default", "used")
    await world.keys.create("default", "idle")
    await world.keys.authenticate(used)
    assert await last_used(world) == {"used": None, "idle": None}
    await world.keys.flush_used()
    assert await last_used(world) == {"used": START, "idle": None}


async def test_the_last_use_is_written_at_most_once_a_minute(world: World) -> None:
    _, secret = await world.keys.create("default", "a")
    for later, written in ((0, START), (59, START), (60, START + 60), (50, START + 60)):
        world.wall = float(START + later)
        await world.keys.authenticate(secret)
        await world.keys.flush_used()
        assert await last_used(world) == {"a": written}, later


async def test_without_a_use_nothing_is_written(world: World) -> None:
    await world.keys.flush_used()
    await refused(world.keys, tokens.new_secret())
    world.statements.clear()
    await world.keys.flush_used()
    assert world.statements == []


async def test_the_uses_that_wait_to_be_written_are_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 1)
    secrets = {name: (await world.keys.create("default", name))[1] for name in ("a", "b")}
    for name in ("a", "b", "a"):
        world.wall += 1
        await world.keys.authenticate(secrets[name])
    await world.keys.flush_used()
    assert await last_used(world) == {"a": START + 3, "b": None}


async def test_a_repr_of_what_is_held_in_memory_shows_no_key(world: World) -> None:
    key, secret = await world.keys.create("default", "a")
    caller = await world.keys.authenticate(secret)
    assert secret[8:-4] not in repr((key, caller, world.keys._lookups._entries, vars(world.keys)))
