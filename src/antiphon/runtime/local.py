"""Engine processes on this machine: each in a private folder, with a clean environment and its own log."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from antiphon.address import SECRET, Address
from antiphon.cores import cores
from antiphon.runtime.affinity import Affinity
from antiphon.runtime.base import Command
from antiphon.runtime.log import ProcessLog
from antiphon.runtime.memory import held
from antiphon.values import NOTHING, Capacity

_SOCKET_NAME = "engine.sock"
_SOCKET_PATH_MAX = 100
"""Unix socket paths end at 104 bytes (macOS) or 108 (Linux)."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SSL_CERT_FILE")
_INHERITED_PREFIXES = ("OMP_", "GOMP_", "CT2_", "MALLOC_", "VLLM_", "RAY_AUTH_", "RAY_TLS_", "RAY_USE_TLS")
"""Of Ray's: how a cluster is joined, and where the files for that are; for a vLLM that computes on one."""
_SECRETS = ("VLLM_API_KEY", "RAY_AUTH_TOKEN")
"""What begins like that and is not for engines: nobody but the gateway reaches them; a file has the token."""
_SHARING = {
    # Engines share the cores. Threads that spin while they wait take them from each other: where two engines
    # computed at once, answers came ten times slower. Not spinning at all makes one alone three times slower;
    # this many turns cost neither.
    "GOMP_SPINCOUNT": "2000",
    # And the memory: glibc would keep what a long recording took, once for every thread. But what an engine
    # needs for every step stays: asking the system for it each time makes speech a half slower.
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
}
"""What an engine is told unless the operator's environment says otherwise."""
_SAFE = "@+"
"""What names of processes have besides letters, digits and `._-`: in a file's name, all else is `%` and its
number, so that no two have one log."""
_LOG_SECONDS = 1.0


class LocalProcess:
    """A running engine process of this machine: a `Process`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        address: Address,
        folder: Path,
        log: ProcessLog,
        affinity: Affinity,
    ) -> None:
        self.pid = process.pid
        self.address = address
        self._process = process
        self._folder = folder
        self._log = log
        self._affinity = affinity
        self._ended = asyncio.create_task(self._reap(), name=f"reap-{process.pid}")

    async def wait(self) -> int:
        """Its exit code, once it has ended; negative: the signal that ended it."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace: float) -> int:
        """End it, by SIGTERM and `grace` seconds later by SIGKILL; its exit code."""
        if grace > 0:
            self._signal(signal.SIGTERM)
            await asyncio.wait({self._ended}, timeout=grace)
        if not self._ended.done():
            self._signal(signal.SIGKILL)
        return await self.wait()

    async def memory(self) -> int | None:
        """Bytes that it and what it started hold for themselves; None where the system does not tell."""
        return await asyncio.to_thread(held, self.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def _reap(self) -> int:
        code = await self._process.wait()
        self._affinity.ended(self.pid)
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)  # what it started itself
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        await asyncio.to_thread(self._log.join, _LOG_SECONDS)
        return code


class LocalRuntime:
    """Starts engine processes: `folder` holds their sockets and temporary files, `log_folder` their logs.

    With `host`, an address of this machine, they listen there by TCP, each on a port and with a secret of its
    own, for gateways on other machines.
    """

    def __init__(self, folder: Path, log_folder: Path, host: str = "") -> None:
        self._folder = folder
        self._log_folder = log_folder
        self._host = host
        self._affinity = Affinity()

    async def machines(self) -> Mapping[str, Capacity]:
        """This machine alone."""
        return {socket.gethostname(): await asyncio.to_thread(here)}

    async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> LocalProcess:
        """Start what `command` says for an address of its own. Raises `OSError` if it cannot be started.

        The process leads a group of its own: Ctrl-C in the terminal is the gateway's, which ends its
        engines when their requests are done. Whole processors that it needs are its alone, but for the last
        of the machine; the rest of what it needs is taken to be there.
        """
        starting = asyncio.create_task(self._start(name, command, needs), name=f"start-{name}")
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Given up half-way: only a start that has come to its end can be undone.
            await asyncio.wait({starting})
            if starting.exception() is None:
                await starting.result().stop(0)
            raise

    async def close(self) -> None:
        """There is nothing to end."""

    async def _start(self, name: str, command: Command, needs: Capacity) -> LocalProcess:
        folder = await asyncio.to_thread(self._private_folder)
        address = _tcp(self._host) if self._host else Address(path=str(folder / _SOCKET_NAME))
        log = None
        try:
            log_name = quote(name, safe=_SAFE) + ".log"
            log = await asyncio.to_thread(ProcessLog, self._log_folder / log_name)
            process = await asyncio.create_subprocess_exec(
                *command(address),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log.writer,
                stderr=log.writer,
                env=environment(folder) | ({SECRET: address.secret} if address.secret else {}),
                cwd=folder,
                start_new_session=True,
            )
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        finally:
            if log is not None:
                log.started()
        self._affinity.started(process.pid, needs.cpus)
        return LocalProcess(process, address, folder, log, self._affinity)

    def _private_folder(self) -> Path:
        """A new folder (mode 0700) whose name tells whose it is; those of gateways that are gone go now."""
        base, prefix = self._folder, ""
        base.mkdir(parents=True, exist_ok=True)
        if len(os.fsencode(base)) + len(f"/{os.getpid()}-12345678/{_SOCKET_NAME}") > _SOCKET_PATH_MAX:
            base, prefix = Path("/tmp"), f"antiphon-{os.getuid()}-"
        for left in base.glob(f"{prefix}[0-9]*-*"):
            pid = left.name.removeprefix(prefix).split("-")[0]
            if pid.isdigit() and not _alive(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=base))


def here(root: Path = Path("/")) -> Capacity:
    """What this machine has: processors and memory, or a container's share of them, and NVIDIA's devices."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # no control groups, or no limit (`max`)
        pages = min(pages, int((root / "sys/fs/cgroup/memory.max").read_text()))
    devices = [one for one in root.glob("dev/nvidia*") if one.name.removeprefix("nvidia").isdigit()]
    return Capacity(cpus=cores() * 1000, memory=pages, gpus=len(devices))


def environment(folder: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What an engine may know of this machine: no keys, settings or proxies, and no home but its own."""
    named = {k: v for k, v in given.items() if k in _INHERITED or k.startswith(_INHERITED_PREFIXES)}
    kept = {k: v for k, v in named.items() if k not in _SECRETS}
    return (
        _SHARING
        | kept
        | {
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PARENT_PID": str(os.getpid()),  # whose end the engine must not outlive
            "PYTHONSAFEPATH": "1",  # nothing is ever imported from the working folder
        }
    )


def _tcp(host: str) -> Address:
    """An address that is free now. Should another process take it first, the engine ends and gets another."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    return Address(host=host, port=port, secret=secrets.token_urlsafe(32))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
