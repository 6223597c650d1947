"""A backup of a server that works on, and what becomes of it in an empty folder."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from sqlalchemy import func, select

from antiphon.access.access import opened
from antiphon.access.pepper import connected, load_pepper
from antiphon.app import running as app
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.home import said
from antiphon.inference.conductor import account as account_of
from antiphon.ledger.ledger import Ledger, running
from antiphon.ledger.meter import Account
from antiphon.ledger.verify import verify
from antiphon.operations import artefacts
from antiphon.operations import backup as backups
from antiphon.operations.backup import KEYS_NAME, Backup, back_up
from antiphon.operations.parts import unknown
from antiphon.operations.restore import DRAFT, restore, verified
from antiphon.privacy import expiring
from antiphon.settings import Settings
from antiphon.storage import audit_proof, sqlite, tables
from antiphon.storage.database import Database
from antiphon.storage.migrations import state, upgrade
from ledger_house import CHAT, tokens
from privacy_house import House, housed
from service import listening


def silent(name: str, done: int, total: int) -> None:
    """Nobody looks."""


@asynccontextmanager
async def house(settings: Settings) -> AsyncIterator[tuple[Ledger, Database, Account, str]]:
    """A ledger at work over a database with one project, and the secret of a key for it."""
    async with await connected(settings.database_url, settings.home_path) as database:
        await upgrade(database)
        access = await opened(database, settings.home_path)
        secret = (await access.ensure_default()).key or ""
        account = account_of(await access.authenticator.authenticate(secret))
        async with running(database, settings.home_path) as ledger:
            yield ledger, database, account, secret


async def answered(ledger: Ledger, account: Account, id: str) -> None:
    async with ledger.meter.open(id, account, CHAT, tokens(10, 10)) as bill:
        await bill.settle(tokens(10, 5))


@contextmanager
def held(database: Path) -> Iterator[Callable[[], None]]:
    """Let nobody else write, until what is given is called."""
    # The library that the ledger uses: another one in the same process would not see its locks.
    other = sqlite.safe(sqlite.installed()).connect(database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other.rollback
    finally:
        other.rollback()
        other.close()


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


async def proof(home: Path) -> tuple[int, list[Any]]:
    """How many requests were settled, once a server has been there, and what is wrong with the books."""
    async with Database(Settings(home=str(home)).database_url) as database:
        async with running(database, home):
            await asyncio.sleep(0)
        async with database.connect() as connection:
            settled = select(func.count()).where(tables.request.c.status == "settled")
            return int(await connection.scalar(settled) or 0), await connection.run_sync(verify)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (home / "antiphon.toml").write_text("processes = 1\n")
    (home / "models.toml").write_text("[aliases]\n")
    (home / "webhook.secret").write_text("whsec")
    (home / "models").mkdir()
    (home / "models" / "weights.gguf").write_text("a model")
    return Settings(home=str(home))


async def test_a_restored_folder_serves_with_the_same_keys_and_right_books(
    settings: Settings, tmp_path: Path
) -> None:
    async with house(settings) as (ledger, _, account, secret):
        for number in range(20):
            await answered(ledger, account, f"req_{number}")
        with held(settings.home_path / "antiphon.db") as release:

            def show(name: str, done: int, total: int) -> None:
                if name == artefacts.MANIFEST:  # the data are copied; the audit log is to be written
                    release()

            await answered(ledger, account, "req_journal")  # durable, and not in the database
            made = await back_up(settings, tmp_path / "copies", show)
        await answered(ledger, account, "req_later")
    assert {name.partition("/")[0] for name in contents(made.data)} == {
        "journal",
        "antiphon.db",
        "antiphon.toml",
        "models.toml",
        artefacts.MANIFEST,
    }
    assert set(contents(made.keys)) == {"pepper", "webhook.secret", artefacts.MANIFEST}
    fresh = tmp_path / "fresh"
    done = await restore(made.data, made.keys, fresh, "", silent)
    assert done.files == len(contents(made.data)) + len(contents(made.keys)) - 2 and not done.note
    private = {path: path.stat().st_mode & 0o077 for path in [fresh, *fresh.rglob("*"), made.data, made.keys]}
    assert not any(private.values()), private
    assert (fresh / "webhook.secret").read_text() == "whsec"

    assert await proof(fresh) == (21, [])
    chosen = Settings(home=str(fresh))
    async with (
        app.running(chosen) as antiphon,
        listening(antiphon.edge, chosen) as port,
        aiohttp.ClientSession() as session,
    ):
        assert antiphon.firsts.key is None
        headers = {"authorization": f"Bearer {secret}"}
        async with session.get(f"http://127.0.0.1:{port}/v1/models", headers=headers) as response:
            assert response.status == 200
        assert unknown(fresh) == []  # all that a server made there is known to backups


async def test_a_backup_amid_writing_is_of_one_moment(settings: Settings, tmp_path: Path) -> None:
    async with house(settings) as (ledger, _, account, _):

        async def work() -> int:
            number = 0
            while not stop.is_set():
                number += 1
                await answered(ledger, account, f"req_{number}")
            return number

        stop = asyncio.Event()
        working = asyncio.create_task(work())
        made = [await back_up(settings, tmp_path / f"{n}.tar", silent) for n in range(3)]
        stop.set()
        total = await working
    before = 0
    for number, one in enumerate(made):
        fresh = tmp_path / f"fresh-{number}"
        await restore(one.data, one.keys, fresh, "", silent)
        settled, wrong = await proof(fresh)
        assert not wrong and before <= settled <= total
        before = settled


async def test_rows_of_postgresql_come_back_in_another_database(
    postgres_server: Any, settings: Settings, tmp_path: Path
) -> None:
    from servers import fresh_database

    with fresh_database(postgres_server) as old, fresh_database(postgres_server) as new:
        (settings.home_path / "antiphon.toml").write_text(f'database = "{old.url}"\nprocesses = 1\n')
        chosen = msgspec.structs.replace(settings, database=old.url)
        async with house(chosen) as (ledger, _, account, secret):
            for number in range(5):
                await answered(ledger, account, f"req_{number}")
        made = await back_up(chosen, tmp_path / "copies", silent)
        fresh = tmp_path / "fresh"
        with pytest.raises(ConfigurationError, match="no file") as refused:
            await restore(made.data, made.keys, fresh, "", silent)
        assert "--database" in refused.value.fix
        done = await restore(made.data, made.keys, fresh, new.url, silent)
        assert (
            "ANTIPHON_DATABASE" in done.note
            and "# before the restore" in (fresh / "antiphon.toml").read_text()
        )
        async with Database(new.url) as database:
            assert (await state(database)).current
            async with database.connect() as connection:
                assert await connection.run_sync(verify) == []
            access = await opened(database, fresh)
            assert (await access.authenticator.authenticate(secret)).key_id == account.key_id
            [newest] = (await access.audit.list(None, limit=1)).data
            assert newest.type == "backup.restored"
            async with database.connect() as connection:
                assert await connection.run_sync(partial(audit_proof.verify, pepper=load_pepper(fresh))) == []
        for query in (
            "select count(*) from entry",
            "select sum(balance) from account",
            "select * from epoch",
        ):
            assert new.execute(query) == old.execute(query)
        (fresh / "antiphon.toml").unlink()
        with pytest.raises(ConfigurationError, match="not empty"):
            await restore(made.data, made.keys, tmp_path / "again", new.url, silent)
        assert not list((tmp_path / "again").iterdir())


async def test_only_the_newest_keys_are_kept_and_older_ones_are_written_over(
    settings: Settings, tmp_path: Path
) -> None:
    async with house(settings):
        pass
    place = tmp_path / "copies"
    first = await back_up(settings, place / "one.tar", silent)
    with first.keys.open("rb") as before:
        length = len(before.read())
        (settings.home_path / "webhook.secret").write_text("another")
        second = await back_up(settings, place / "two.tar", silent)
        before.seek(0)
        assert before.read() == bytes(length)
    assert second.keys == first.keys and contents(second.keys)["webhook.secret"] == b"another"
    assert sorted(path.name for path in place.iterdir()) == [KEYS_NAME, "one.tar", "two.tar"]
    await restore(first.data, second.keys, tmp_path / "fresh", "", silent)
    with pytest.raises(ConfigurationError, match="there already"):
        await back_up(settings, place / "one.tar", silent)


@pytest.fixture
async def made(settings: Settings, tmp_path: Path) -> Backup:
    async with house(settings):
        pass
    return await back_up(settings, tmp_path / "copies" / "data.tar", silent)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
async def test_a_changed_byte_is_found_and_nothing_is_restored(
    made: Backup, tmp_path: Path, where: float
) -> None:
    data = bytearray(made.data.read_bytes())
    data[int(len(data) * where)] ^= 1
    made.data.write_bytes(data)
    with pytest.raises(ConfigurationError, match="damaged"):
        verified(made.data, made.keys, silent)
    with pytest.raises(ConfigurationError, match="damaged"):
        await restore(made.data, made.keys, tmp_path / "fresh", "", silent)
    assert not list((tmp_path / "fresh").iterdir())


async def test_half_a_file_and_the_wrong_one_are_refused(made: Backup, tmp_path: Path) -> None:
    data, _ = verified(made.data, made.keys, silent)
    assert data.revision and data.kind == "sqlite"
    with pytest.raises(ConfigurationError, match="holds the keys of a backup"):
        verified(made.keys, made.data, silent)
    with pytest.raises(ConfigurationError, match="one of them is the wrong one"):
        await restore(made.keys, made.keys, tmp_path / "fresh", "", silent)
    with pytest.raises(ConfigurationError, match="holds the data of a backup"):
        await restore(made.keys, made.data, tmp_path / "fresh", "", silent)
    os.truncate(made.data, made.data.stat().st_size // 2)
    with pytest.raises(ConfigurationError, match="damaged"):
        verified(made.data, None, silent)
    made.keys.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await restore(made.data, made.keys, tmp_path / "fresh", "", silent)


async def test_paths_that_lead_out_are_refused(tmp_path: Path) -> None:
    for name in ("../evil", "/tmp/evil", "a/../../evil"):
        with tarfile.open(tmp_path / "evil.tar", "w") as archive:
            entry = tarfile.TarInfo(name)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
        with pytest.raises(ConfigurationError, match="damaged"):
            artefacts.read(tmp_path / "evil.tar", artefacts.nothing, silent)


async def test_a_folder_in_use_is_refused_and_a_broken_off_restore_is_not(
    made: Backup, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh"
    (fresh / DRAFT).mkdir(parents=True)
    (fresh / DRAFT / "half").write_text("x")
    (fresh / "something").write_text("x")
    with pytest.raises(ConfigurationError, match="holds something"):
        await restore(made.data, made.keys, fresh, "", silent)
    (fresh / "something").unlink()
    await restore(made.data, made.keys, fresh, "", silent)
    assert not (fresh / DRAFT).exists()


async def test_one_that_breaks_off_leaves_nothing_under_a_name(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(settings):
        pass
    place = tmp_path / "copies"

    def break_off(name: str, done: int, total: int) -> None:
        if name == "pepper":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await back_up(settings, place, break_off)
    assert not list(place.iterdir())
    # A process that was killed cannot tidy up: the next one does.
    dead = place / f"{backups._STAGING}999999999-x"
    dead.mkdir()
    (dead / "data").write_text("half")
    await back_up(settings, place / "data.tar", silent)
    assert sorted(path.name for path in place.iterdir()) == [KEYS_NAME, "data.tar"]


async def test_an_older_revision_is_upgraded(tmp_path: Path, settings: Settings) -> None:
    from antiphon.storage.migrations import steps

    async with Database(settings.database_url) as database, database.alone() as connection:
        await connection.run_sync(steps.run, "0006")
    (settings.home_path / "pepper").write_bytes(b"p" * 32)
    made = await back_up(settings, tmp_path / "copies", silent)
    done = await restore(made.data, made.keys, tmp_path / "fresh", "", silent)
    assert done.revision == "0006" and "the database is at revision 0006" in made.note
    async with Database(Settings(home=str(tmp_path / "fresh")).database_url) as database:
        assert (await state(database)).current


async def test_what_cannot_be_written_into_the_audit_log_is_not_handed_out(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(settings):
        pass
    monkeypatch.setattr(backups, "_RECORD_SECONDS", 0.1)
    with held(settings.home_path / "antiphon.db"), pytest.raises(Unavailable):
        await back_up(settings, tmp_path / "copies", silent)
    assert not list((tmp_path / "copies").iterdir())


async def test_where_there_is_nothing_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no database"):
        await back_up(Settings(home=str(tmp_path / "none")), tmp_path / "copies", silent)
    assert not (tmp_path / "copies").exists()


async def test_models_are_copied_if_they_are_asked_for(settings: Settings, tmp_path: Path) -> None:
    async with house(settings):
        pass
    made = await back_up(settings, tmp_path / "copies", silent, models=True)
    assert contents(made.data)["models/weights.gguf"] == b"a model"


async def test_the_operators_rules_and_keys_come_back_private_and_are_named_where_they_are(
    settings: Settings, tmp_path: Path
) -> None:
    home, fresh = settings.home_path, tmp_path / "fresh"
    (home / "moderation.toml").write_text("shipped = false\n")
    (home / "upstream-keys").mkdir()
    (home / "upstream-keys" / "HOUSE").write_text("sk-house")
    (home / "oidc.secret").write_text("oidc-known")
    (home / "notes").mkdir()
    (home / "models.toml").write_text(f'key_file = "{home}/upstream-keys/HOUSE"\nother = "{home}-2/x"\n')
    (home / "antiphon.toml").write_text(f'oidc_secret_file = "{home}/oidc.secret"\nprocesses = 1\n')
    async with house(settings):
        pass
    made = await back_up(settings, tmp_path / "copies", silent)
    assert made.left_out == ["notes"]
    assert contents(made.data)["moderation.toml"] == b"shipped = false\n"
    assert not any(text in made.data.read_bytes() for text in (b"sk-house", b"oidc-known"))
    done = await restore(made.data, made.keys, fresh, "", silent)
    assert f"Paths in antiphon.toml and models.toml lead into {fresh} now" in done.note
    for name, text in {"upstream-keys/HOUSE": "sk-house", "moderation.toml": "shipped = false\n"}.items():
        assert (fresh / name).read_text() == text
        assert stat.S_IMODE((fresh / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((fresh / "upstream-keys").stat().st_mode) == 0o700
    named = [line.split('"')[1] for line in (fresh / "models.toml").read_text().splitlines()]
    assert named == [f"{fresh}/upstream-keys/HOUSE", f"{home}-2/x"]
    assert said(fresh, Settings.__struct_fields__)["oidc_secret_file"] == f"{fresh}/oidc.secret"


async def test_the_file_of_data_is_not_called_as_that_of_keys(settings: Settings, tmp_path: Path) -> None:
    async with house(settings):
        pass
    with pytest.raises(ConfigurationError, match="what the file of keys is called") as refused:
        await back_up(settings, tmp_path / "copies" / KEYS_NAME, silent)
    assert "another name" in refused.value.fix and not (tmp_path / "copies").exists()


@asynccontextmanager
async def content_of(settings: Settings) -> AsyncIterator[House]:
    async with await connected(settings.database_url, settings.home_path) as database:
        await upgrade(database)
        async with housed(settings.home_path, database, settings.database_url) as kept:
            yield kept


async def test_what_was_erased_after_a_backup_does_not_come_back_with_newer_keys(
    settings: Settings, tmp_path: Path
) -> None:
    async with content_of(settings) as kept:
        await kept.keep(kept.item("erased", recording=b"sound"), kept.item("there", organization_id="org-2"))
        first = await back_up(settings, tmp_path / "copies" / "one.tar", silent)
        await kept.database.run(lambda c: expiring.erase(c, "org-1", kept.now))
        await kept.purged()
        second = await back_up(settings, tmp_path / "copies" / "two.tar", silent)
    fresh = Settings(home=str(tmp_path / "fresh"))
    done = await restore(first.data, second.keys, fresh.home_path, "", silent)
    assert done.forgotten == 1
    async with content_of(fresh) as kept:
        assert [row.organization_id for row in await kept.rows()] == ["org-2"]
        assert [path for path in (fresh.home_path / "content").rglob("*") if path.is_file()] == []
        assert [row.organization_id for row in await kept.rows(tables.content_key)] == ["org-2"]
        await kept.keep(kept.item("anew"))  # on the same day
        [found] = await kept.content.find("org-1", kept.now)
        assert b"anew" in found.asked
        [there] = await kept.content.find("org-2", kept.now)
        assert b"there" in there.asked
        [told] = [row.payload for row in await kept.rows(tables.audit_log) if row.type == "backup.restored"]
        assert msgspec.json.decode(told)["data"]["forgotten"] == 1
    again = await restore(second.data, second.keys, tmp_path / "again", "", silent)
    assert again.forgotten == 0
