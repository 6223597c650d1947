"""Each folder of `clients/` is one client of the API in an environment of its own; a test drives it by lines.

A folder holds `client.py` or `client.mjs`, which speaks `clients/protocol.py`, or `script.mjs`, which tells
of one conversation; and if it needs packages that the development environment lacks, their hash-locked list:
`requirements.txt` or `package-lock.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from benchmarks.processes import Server, free_port, peer

ROOT = Path(__file__).parents[2]
CLIENTS = Path(__file__).parent / "clients"
NAMES = sorted(folder.name for folder in CLIENTS.iterdir() if any(folder.glob("client.*")))
BIN = Path(sys.executable).parent
"""The development environment's programs; its Node among them."""
ONE = pytest.mark.parametrize("client", ["openai-3"], indirect=True)
"""The Python client of today alone, where what is tested is the server's and no client adds to it."""
INSTALL_SECONDS = 150.0
CALL_SECONDS = 120.0


@contextmanager
def application(name: str, folder: Path, url: str, key: str, *options: str, **settings: str) -> Iterator[str]:
    """An application of `examples`, as its README starts it, with its log in the folder: its address.

    It gets options of its command line, and settings in its environment.
    """
    address = f"http://127.0.0.1:{(port := free_port())}/"
    environment = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": key, **settings}
    command = [sys.executable, "-m", f"examples.{name}", "--port", str(port), *options]
    with peer(command, folder / f"{name}-{port}.log", environment, address):
        yield address


class ClientFailure(Exception):
    """The client raised its own exception; `said` is what it told of it (`class`, `status`, `code`, …)."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said)
        self.said = said


class Client:
    """One running client program."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def call(self, action: str, **arguments: Any) -> Any:
        """What the client returned, as JSON; it must have sent one request, so a retry fails the test.

        Raises `ClientFailure` when the client raised.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": action, **arguments}) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], CALL_SECONDS)
        assert ready, f"{self.name} gave no answer within {CALL_SECONDS:.0f} s"
        line = self._process.stdout.readline()
        assert line, f"{self.name} ended with {self._process.wait(10)}"
        answer = json.loads(line)
        assert answer["requests"] == 1, f"{self.name} sent {answer['requests']} requests for one call"
        if "error" in answer:
            raise ClientFailure(answer["error"])
        return answer["result"]


@contextmanager
def running(name: str, server: Server) -> Iterator[Client]:
    """The client program `name`, told of the server as its users would: by environment variables."""
    command = [*installed(name), *map(str, (CLIENTS / name).glob("client.*"))]
    with subprocess.Popen(
        command, env=environment(server), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Client(name, process)
        finally:
            process.kill()


def script(name: str, server: Server, *arguments: str) -> Any:
    """What the script in the folder `name` says of its conversation, as JSON."""
    command = [*installed(name), str(CLIENTS / name / "script.mjs"), *arguments]
    done = subprocess.run(
        command, env=environment(server), capture_output=True, text=True, timeout=CALL_SECONDS
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def environment(server: Server) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CLIENTS),
        "OPENAI_API_KEY": server.key,
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_BASE": server.url,  # its name in 2023
    }


def installed(name: str) -> list[str]:
    """The interpreter that runs the client, after its packages were installed, once per lock."""
    folder = CLIENTS / name
    if (folder / "requirements.txt").exists():
        _install(folder / "requirements.txt", folder / ".venv", _uv_commands(folder))
        return [str(folder / ".venv/bin/python")]
    if (folder / "package-lock.json").exists():
        npm = [str(BIN / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        _install(folder / "package-lock.json", folder / "node_modules", [npm])
        return [str(BIN / "node")]
    return [sys.executable]


def _uv_commands(folder: Path) -> list[list[str]]:
    local = ROOT / ".uv/bin/uv"
    uv = str(local) if local.exists() else shutil.which("uv")
    assert uv, "uv is missing; `make dev` brings it"
    python = str(folder / ".venv/bin/python")
    return [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder / ".venv")],
        [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", "requirements.txt"],
    ]


def _install(lock: Path, target: Path, commands: list[list[str]]) -> None:
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = target / ".installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        subprocess.run(
            command, cwd=lock.parent, env={**os.environ, "PATH": path}, timeout=INSTALL_SECONDS, check=True
        )
    stamp.write_text(digest)
