"""The books, whatever breaks: real engines and real processes, with 32 streams running each time.

Each fault checks itself what must be true of streams and books (`benchmarks.ledger_faults`). The bars are a
minute for every request to end, and a second until new work is refused without a database; tests allow three
times the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.books import Installation
from benchmarks.ledger_faults import (
    Away,
    Figures,
    counts_away,
    database_away,
    disk_full,
    engine_killed,
    gateway_killed,
    one_gateway_killed,
    small_disk,
)
from benchmarks.processes import Server

from servers import PostgresDatabase, PostgresServer, ValkeyServer, fresh_database

pytestmark = pytest.mark.timeout(120)

ALL_ENDED = 60.0
REFUSED = 3 * 1.0
MIDWAY = 0.5
"""Seconds after every stream has begun."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the installations have their models, in common."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with fresh_database(postgres_server) as database:
        yield database


def two_gateways(database: PostgresDatabase, valkey: ValkeyServer) -> dict[str, str]:
    """Settings of two gateways over a PostgreSQL and a Valkey."""
    return {
        "ANTIPHON_PROCESSES": "2",
        "ANTIPHON_DATABASE": database.url,
        "ANTIPHON_VALKEY": valkey.url,
    }


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory,
    models: Path,
    database: PostgresDatabase,
    shared_valkey: ValkeyServer,
) -> Installation:
    settings = two_gateways(database, shared_valkey)
    return Installation(tmp_path_factory.mktemp("ledger-faults") / "home", settings, models)


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    with installation.serve() as server:
        yield server


def within(figures: Figures) -> None:
    for name, seconds in figures.items():
        bar = REFUSED if "refusal" in name else ALL_ENDED
        assert seconds <= bar, f"{name}: {seconds:.1f} s"


@pytest.mark.fault("one of several gateways is killed")
async def test_one_gateway_killed(installation: Installation, server: Server) -> None:
    within(await one_gateway_killed(installation, server, MIDWAY))


@pytest.mark.fault("an engine is killed under many streams")
async def test_the_engine_killed(installation: Installation, server: Server) -> None:
    within(await engine_killed(installation, server, MIDWAY))


@pytest.mark.fault("PostgreSQL is killed")
async def test_postgresql_killed(
    installation: Installation, server: Server, database: PostgresDatabase
) -> None:
    away = Away("killed", database.kill, database.restart, seconds=3)
    within(await database_away(installation, server, MIDWAY, away))


@pytest.mark.fault("PostgreSQL stands still")
async def test_postgresql_paused(
    installation: Installation, server: Server, database: PostgresDatabase
) -> None:
    away = Away("paused", database.stop, database.cont, seconds=7)
    within(await database_away(installation, server, MIDWAY, away))


@pytest.mark.fault("Valkey is killed, stands still or forgets")
@pytest.mark.parametrize("how", ["killed", "stopped", "flushed"])
async def test_valkey(
    how: str, installation: Installation, server: Server, valkey_server: ValkeyServer
) -> None:
    leave = {"killed": valkey_server.kill, "stopped": valkey_server.stop, "flushed": valkey_server.flush}
    away = Away(how, leave[how], valkey_server.restart, seconds=0)
    within(await counts_away(installation, server, MIDWAY, away))


@pytest.mark.fault("all gateways are killed")
async def test_all_gateways_killed(
    tmp_path: Path, models: Path, postgres_server: PostgresServer, shared_valkey: ValkeyServer
) -> None:
    with fresh_database(postgres_server) as database:
        settings = two_gateways(database, shared_valkey)
        within(await gateway_killed(Installation(tmp_path / "home", settings, models), MIDWAY))


@pytest.mark.fault("the only gateway is killed")
async def test_the_only_gateway_killed(tmp_path: Path, models: Path) -> None:
    within(await gateway_killed(Installation(tmp_path / "home", {}, models), MIDWAY))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    try:
        with small_disk(tmp_path / "disk") as disk:
            yield disk
    except OSError as problem:
        pytest.skip(str(problem))


@pytest.mark.fault("the disk of the data folder is full")
async def test_the_disk_full(disk: Path, models: Path) -> None:
    installation = Installation(disk / "home", {}, models)
    with installation.serve() as server:
        figures = await disk_full(installation, server, MIDWAY)
    # How soon a full disk is noticed depends on what is left of the last block of a file.
    within({name: seconds for name, seconds in figures.items() if "refusal" not in name})
