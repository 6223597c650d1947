"""An engine's place on a Ray cluster: an actor on the machine that Ray chose, which runs the process there.

Requests do not pass through it: the gateway goes to the process by TCP.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from antiphon.address import Address
from antiphon.runtime.local import LocalProcess, LocalRuntime

LEASE_SECONDS = 60.0
"""How long an engine outlives the server that has it, if that was not ended but lost."""
ADDRESS, PYTHON = "{address}", "{python}"
"""In an argument list, what is known only where the process will run."""


class Host:
    """The actor: at most one engine process. It outlives whoever made it, until its lease ends."""

    def __init__(self, host: str = "", lease: float = LEASE_SECONDS) -> None:
        """The process listens at `host`, which is the machine's address on the cluster unless it is named."""
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)  # Ray lowers it for its workers; the engine inherits it
        folder = private_folder(Path(tempfile.gettempdir()) / f"antiphon-ray-{os.getuid()}")
        self._runtime = LocalRuntime(folder / "run", folder / "logs", host or _own_address())
        self._process: LocalProcess | None = None
        self._renewed = time.monotonic()
        # From the beginning: also who asked for a place, and was lost before there was one, shall free it.
        threading.Thread(target=self._watch, args=(lease,), name="lease", daemon=True).start()

    async def start(self, name: str, words: Sequence[str], threads: int = 0) -> tuple[Address, int, str]:
        """Start a process: its address, its id, and the machine's.

        `threads`: how many processors are reserved for it. Where none are, Ray has told this process to use
        one thread, which would hold for the engine as well.
        """
        if threads:
            os.environ["OMP_NUM_THREADS"] = str(threads)
        else:
            os.environ.pop("OMP_NUM_THREADS", None)
        self._process = await self._runtime.start(name, lambda address: argument_list(words, address))
        return self._process.address, self._process.pid, _machine()

    async def wait(self) -> int:
        """The exit code of the process, once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, grace: float) -> int:
        """End the process; its exit code."""
        return await self._process.stop(grace) if self._process else 0

    async def beat(self) -> None:
        """Whoever has the engine says that it is there."""
        self._renewed = time.monotonic()

    def _watch(self, lease: float) -> None:
        while (rest := self._renewed + lease - time.monotonic()) > 0:
            time.sleep(rest)
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        os._exit(1)  # Ray's own way out raises an exception, which only a method that Ray calls may do


def argument_list(words: Sequence[str], address: Address) -> list[str]:
    """A command for this machine."""
    known = {PYTHON: sys.executable}
    return [known.get(word, word).replace(ADDRESS, str(address)) for word in words]


def private_folder(path: Path) -> Path:
    """A folder that is ours and closed to all others. Raises `PermissionError` if somebody else made it."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(None, f"{path} is not a private folder of this user")
    return path


def _machine() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _own_address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())
