"""An upgrade under load, as docs/upgrade.md tells it: a newer version, in an environment of its own behind a
link, takes over with tables of a newer revision, and no request fails.

The newer version is this one with another number, one more step of its tables, and a column that it fills: so
each row tells which of the two wrote it.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sysconfig
import venv
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from benchmarks.processes import antiphon
from sqlalchemy import text

import antiphon as package
from alone import alone
from antiphon.catalogue.pull import pull
from antiphon.cli import standing
from antiphon.settings import Settings
from antiphon.storage.database import Database
from paced_load import Load, asked, client, command
from servers import fresh_database

NEWER = "99.0.0"
REVISION = "9900"
STEP = '''"""What a later version adds."""
import time

import sqlalchemy as sa
from alembic import op

revision, down_revision = "{new}", "{old}"


def upgrade() -> None:
    op.add_column("request", sa.Column("region", sa.Text))
    region = op.create_table("region", sa.Column("since", sa.BigInteger, nullable=False))
    op.get_bind().execute(sa.insert(region).values(since=int(time.time())))
'''
CHANGES = {
    "__init__.py": (f'"{package.__version__}"', f'"{NEWER}"'),
    "ledger/requests.py": ("    id: str\n", '    id: str\n    region: str | None = "north"\n'),
    "storage/ledger_tables.py": (
        "# Idempotency keys",
        """request.append_column(Column("region", Text))
Table("region", metadata, Column("since", BigInteger, nullable=False))

# Idempotency keys""",
    ),
}
"""By the file, what is replaced in it, and by what."""
PROGRAM = """#!{python}
import sys

sys.path.insert(0, {tests!r})
import paced_antiphon

paced_antiphon.run()
"""
LONGEST = 1900
"""Tokens of a stream that goes on until the test ends it."""
pytestmark = pytest.mark.timeout(240)


class Installation:
    """A link that leads to one of two environments, each with a version of its own."""

    def __init__(self, place: Path) -> None:
        self.link = place / "antiphon"
        self.program = (str(self.link / "bin" / "antiphon"),)
        self.old = environment(place / f"antiphon-{package.__version__}")
        self.new = environment(place / f"antiphon-{NEWER}")
        newer(next(self.new.glob("lib/python*/site-packages/antiphon")))
        self.link.symlink_to(self.old)

    def switch(self) -> None:
        """As `ln -sfn` does."""
        draft = self.link.with_suffix(".new")
        draft.symlink_to(self.new)
        draft.replace(self.link)


def environment(place: Path) -> Path:
    """An environment with an Antiphon of its own; every other package is the one that is installed here."""
    venv.create(place, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    shutil.copytree(Path(package.__file__).parent, packages / "antiphon")
    others = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "others.pth").write_text("".join(f"{path}\n" for path in sorted(others)))
    program = place / "bin" / "antiphon"
    tests = str(Path(__file__).parents[1])
    program.write_text(PROGRAM.format(python=place / "bin" / "python", tests=tests))
    program.chmod(0o755)
    return place


def newer(source: Path) -> None:
    """Make a later version of what is there."""
    for name, (before, after) in CHANGES.items():
        was = (source / name).read_text()
        assert was.count(before) == 1
        (source / name).write_text(was.replace(before, after))
    steps = source / "storage" / "migrations" / "versions"
    head = max(path.name[1:5] for path in steps.glob("r*.py"))
    (steps / f"r{REVISION}_region.py").write_text(STEP.format(new=REVISION, old=head))


class Place(NamedTuple):
    """Where a server runs: its data folder, what its environment says, and its database."""

    home: Path
    settings: dict[str, str]
    url: str
    end: Path
    """Once this file is there, every answer ends."""


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, smollm2: Path) -> Iterator[Place]:
    """On SQLite for one process, on PostgreSQL for several."""
    home, end = alone(tmp_path / "home"), tmp_path / "end"
    pull(home, str(smollm2), "paced-a-2024-01-01", alias="paced")
    file = home / "models.toml"
    file.write_text(re.sub("(?m)^engine = .*$", 'engine = "llama"', file.read_text()))
    settings = {"PACED": f"token_delay=0.02,ready_after=2.0,end_file={end}", "ANTIPHON_PORT": "0"}
    if request.param == "sqlite":
        own = {"ANTIPHON_PROCESSES": "1"}
        yield Place(home, settings | own, Settings(home=str(home)).database_url, end)
        return
    with fresh_database(request.getfixturevalue("postgres_server")) as database:
        own = {"ANTIPHON_PROCESSES": "2", "ANTIPHON_DATABASE": database.url}
        yield Place(home, settings | own, database.url, end)


@asynccontextmanager
async def rows(url: str) -> AsyncIterator[Any]:
    """Ask the database, whatever its tables are by now."""
    async with Database(url) as database:

        async def ask(query: str) -> list[Any]:
            async with database.connect() as connection:
                return list(await connection.execute(text(query)))

        yield ask


async def test_no_request_fails_over_an_upgrade_and_the_books_are_right(place: Place, tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    beside = {"program": installation.program, "settings": place.settings}
    with antiphon(place.home, place.settings, program=installation.program) as server:
        async with client(server) as other, rows(place.url) as ask:
            async with Load(server) as load:
                await load.more()
                stream = asyncio.create_task(
                    other.post("/chat/completions", json=asked(LONGEST, stream=True))
                )
                await asyncio.sleep(0.2)
                installation.switch()
                code, said = await command(server, "restart", **beside)
                assert code == 0 and f"Antiphon {NEWER} serves now" in said, said
                assert await ask("select version_num from alembic_version") == [(REVISION,)]
                await load.more()
            assert load.failures == []
            now = standing.read(server.home)
            assert now is not None and now.version == NEWER and now.pid == server.pid != now.server
            # The stream is in the old version yet, which ends it whole, and settles it in the newer tables.
            assert not stream.done()
            place.end.touch()
            response = await stream
            words = re.findall(r" word(\d+)", response.text)
            assert words == [str(number) for number in range(len(words))] and len(words) > 50
            assert response.text.endswith("[DONE]\n\n") and '"finish_reason":"stop"' in response.text
            await settled(ask, load.answers + 1)
            await who_wrote_what(ask, response.headers["x-request-id"])
        async with client(server) as other:
            document = (await other.get(f"{server.root}/openapi.json")).json()
            assert document["info"]["version"] == NEWER
        assert (await command(server, "db", "status", **beside))[0] == 0
        assert await command(server, "ledger", "verify", **beside) == (0, "The books are right.\n")
    old = {"program": (str(installation.old / "bin" / "antiphon"),), "settings": place.settings}
    code, said = await command(server, "serve", **old)
    assert code != 0 and f"at revision {REVISION}, which this version of Antiphon does not know" in said


async def settled(ask: Any, number: int) -> None:
    """Return once so many requests are in the books, each of them settled."""
    async with asyncio.timeout(30):
        while await ask("select status, count(*) from request group by status") != [("settled", number)]:
            await asyncio.sleep(0.1)


async def who_wrote_what(ask: Any, stream: str) -> None:
    """The old version answered on while its tables became newer; since then the new one does."""
    [(since,)] = await ask("select since from region")
    found = await ask("select distinct region, created_at from request")
    written = {(region, created_at > since) for region, created_at in found}
    assert written == {(None, False), (None, True), ("north", True)}
    assert await ask(f"select region from request where id = '{stream}'") == [(None,)]
