"""Engine processes on this machine: each in a private folder, with a clean environment and its own log."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from antiphon.runtime.log import ProcessLog

_SOCKET_NAME = "engine.sock"
_SERVED_NAME = "served"
_SOCKET_PATH_MAX = 100
"""Unix socket paths end at 104 bytes (macOS) or 108 (Linux)."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_INHERITED_PREFIXES = ("OMP_", "GOMP_", "CT2_", "MALLOC_", "VLLM_")
_SECRETS = ("VLLM_API_KEY",)
"""What begins like that and is not for engines: nobody but the gateway reaches them."""
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
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
"""What may stand in a model's name, but not in a file's."""
_LOG_SECONDS = 1.0


class Process:
    """A running engine process, reached at `socket`. When it has ended nothing of it is left but its log."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path, link: Path, log: ProcessLog):
        self.pid = process.pid
        self.socket = socket
        self._process = process
        self._link = link
        self._log = log
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

    def resident_bytes(self) -> int | None:
        """Physical memory in use; None where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def _reap(self) -> int:
        code = await self._process.wait()
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)  # what it started itself
        await asyncio.to_thread(_clear, self.socket.parent, self._link)
        await asyncio.to_thread(self._log.join, _LOG_SECONDS)
        return code


class LocalRuntime:
    """Starts engine processes: `folder` holds their sockets and temporary files, `log_folder` their logs.

    It also holds a link to the socket of each, by which other processes find it: `find`. What an engine
    serves stands beside its socket: `served`.
    """

    def __init__(self, folder: Path, log_folder: Path) -> None:
        self._folder = folder
        self._log_folder = log_folder

    def find(self, name: str) -> Path | None:
        """The socket of the engine that any process last started as `name`; None once it has ended.

        Every start has a socket of its own. Reads the disk.
        """
        try:
            return self._link(name).readlink()
        except FileNotFoundError:
            return None

    def served(self, socket: Path) -> frozenset[str]:
        """The snapshots that the engine at `socket` was started for; none once it has ended.

        Reads the disk.
        """
        try:
            return frozenset((socket.parent / _SERVED_NAME).read_text(encoding="utf-8").splitlines())
        except FileNotFoundError:
            return frozenset()

    async def start(
        self, name: str, command: Callable[[Path], list[str]], served: Sequence[str] = ()
    ) -> Process:
        """Start what `command` says for a socket path. Raises `OSError` if it cannot be started.

        `served`: the snapshots that it is for.

        The process leads a group of its own: Ctrl-C in the terminal is the gateway's, which ends its
        engines when their requests are done.
        """
        starting = asyncio.create_task(self._start(name, command, served), name=f"start-{name}")
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Given up half-way: only a start that has come to its end can be undone.
            await asyncio.wait({starting})
            if starting.exception() is None:
                await starting.result().stop(0)
            raise

    async def _start(self, name: str, command: Callable[[Path], list[str]], served: Sequence[str]) -> Process:
        folder = await asyncio.to_thread(self._private_folder)
        socket, link = folder / _SOCKET_NAME, self._link(name)
        log = None
        try:
            log_name = _UNSAFE.sub("_", name) + ".log"
            log = await asyncio.to_thread(ProcessLog, self._log_folder / log_name)
            await asyncio.to_thread(_note, folder / _SERVED_NAME, served)
            await asyncio.to_thread(_point, link, socket)
            process = await asyncio.create_subprocess_exec(
                *command(socket),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log.writer,
                stderr=log.writer,
                env=environment(folder),
                cwd=folder,
                start_new_session=True,
            )
        except BaseException:
            await asyncio.to_thread(_clear, folder, link)
            raise
        finally:
            if log is not None:
                log.started()
        return Process(process, socket, link, log)

    def _link(self, name: str) -> Path:
        return self._folder / f"{_UNSAFE.sub('_', name)}.engine"

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


def _note(file: Path, served: Sequence[str]) -> None:
    file.write_text("".join(f"{snapshot}\n" for snapshot in served), encoding="utf-8")


def _point(link: Path, socket: Path) -> None:
    """Let `link` name `socket`; nobody ever finds it absent or half made."""
    draft = socket.with_suffix(".link")
    draft.symlink_to(socket)
    draft.replace(link)


def _clear(folder: Path, link: Path) -> None:
    """Remove an engine's folder, and its link unless that already leads to its successor."""
    with suppress(FileNotFoundError):
        if link.readlink().parent == folder:
            link.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
