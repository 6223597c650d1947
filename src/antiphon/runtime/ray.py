"""Engine processes on a Ray cluster: Ray finds a place for each, reserves it, and tells when it is lost.

For each engine there is one detached actor, `Host`, on the machine that Ray chose: it runs the process there,
as the local runtime does, and ends it when asked. Requests never pass through Ray: the gateway goes to the
process by TCP.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from antiphon.address import Address
from antiphon.errors import ConfigurationError
from antiphon.runtime.base import Command
from antiphon.runtime.local import LocalProcess, LocalRuntime
from antiphon.values import NOTHING, Capacity

NAMESPACE = "antiphon"
BEAT_SECONDS = 5.0
LEASE_SECONDS = 60.0
"""How long an engine outlives the server that has it, if that was not ended but lost."""
_LOST = -signal.SIGKILL
"""The exit code of a process whose machine, or actor, is gone."""


ADDRESS, PYTHON = "{address}", "{python}"
"""In an argument list, what is known only where the process will run."""


class Host:
    """The actor: at most one engine process, on the machine where Ray has put it."""

    def __init__(self) -> None:
        import ray

        folder = Path(tempfile.gettempdir()) / f"antiphon-ray-{os.getuid()}"
        host = ray.util.get_node_ip_address()
        self._runtime = LocalRuntime(folder / "run", folder / "logs", host)
        self._process: LocalProcess | None = None
        self._beat = time.monotonic()
        self._watching: asyncio.Task[None] | None = None

    async def start(self, name: str, words: Sequence[str]) -> tuple[Address, int]:
        """Start a process; of its argument list, ADDRESS and PYTHON stand for what is known here alone."""
        self._watching = asyncio.create_task(self._watch())
        known = {PYTHON: sys.executable}
        self._process = await self._runtime.start(
            name, lambda address: [known.get(word, word).replace(ADDRESS, str(address)) for word in words]
        )
        return self._process.address, self._process.pid

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, grace: float) -> int:
        return await self._process.stop(grace) if self._process else 0

    async def beat(self) -> None:
        """Whoever has the engine says that it is there."""
        self._beat = time.monotonic()

    async def _watch(self) -> None:
        """End with an owner that is lost: a detached actor outlives whoever made it."""
        import ray

        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if time.monotonic() - self._beat >= LEASE_SECONDS:
                break
        await self.stop(0)
        ray.actor.exit_actor()


class RayProcess:
    """An engine process on some machine of the cluster: a `Process`."""

    def __init__(self, host: Any, address: Address, pid: int) -> None:
        self.pid = pid
        self.address = address
        self._host = host
        self._ended = asyncio.create_task(self._watch(), name=f"ray-{pid}")
        self._beating = asyncio.create_task(self._beat(), name=f"ray-beat-{pid}")

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def stop(self, grace: float) -> int:
        if not self._ended.done():
            with suppress(Exception):  # of a machine that is gone, nothing has to be ended
                await self._host.stop.remote(grace)
        return await self.wait()

    async def _watch(self) -> int:
        import ray

        try:
            code: int = await self._host.wait.remote()
        except ray.exceptions.RayError:
            code = _LOST
        self._beating.cancel()
        await asyncio.to_thread(_forget, self._host)
        return code

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(Exception):  # its end is seen elsewhere
                await self._host.beat.remote()


class RayRuntime:
    """Starts engine processes on the cluster at `address`, each with what it needs reserved for it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._joining = asyncio.Lock()

    async def machines(self) -> Mapping[str, Capacity]:
        """The nodes of the cluster that are alive, by their addresses."""
        async with self._joining:
            await asyncio.to_thread(_join, self._address)
        return await asyncio.to_thread(_nodes)

    async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> RayProcess:
        """Start a process where the cluster has room for it: returns once it has. Raises `OSError`."""
        async with self._joining:
            await asyncio.to_thread(_join, self._address)
        host = await asyncio.to_thread(_placed, f"{name}-{secrets.token_hex(4)}", needs)
        try:
            words = [PYTHON if word == sys.executable else word for word in _template(command)]
            address, pid = await host.start.remote(name, words)
        except BaseException as problem:
            await asyncio.shield(asyncio.to_thread(_forget, host))
            if isinstance(problem, Exception):
                raise OSError(None, f"the cluster could not start it: {type(problem).__name__}") from problem
            raise
        return RayProcess(host, address, pid)


class _Unknown(Address, frozen=True):
    """An address that is known only where the process will run."""

    def __str__(self) -> str:
        return ADDRESS


def _template(command: Command) -> list[str]:
    return command(_Unknown())


def _join(address: str) -> None:
    """Be part of the cluster. Raises `ConfigurationError` without Ray or a cluster."""
    try:
        import ray
    except ImportError:
        raise ConfigurationError("Ray is not installed", fix="pip install 'antiphon[ray]'") from None
    if ray.is_initialized():
        return
    try:
        ray.init(address=address, namespace=NAMESPACE, logging_level="warning", log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as problem:
        raise ConfigurationError(
            f"There is no Ray cluster at '{address}': {str(problem).splitlines()[0]}",
            fix="start one with `ray start --head`, and name it by --ray-address",
        ) from None


def _nodes() -> dict[str, Capacity]:
    import ray

    return {
        node["NodeManagerAddress"] + ":" + str(node["NodeManagerPort"]): Capacity(
            cpus=round(node["Resources"].get("CPU", 0) * 1000),
            memory=int(node["Resources"].get("memory", 0)),
            gpus=int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    }


def _placed(name: str, needs: Capacity) -> Any:
    import ray

    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "max_concurrency": 16,
        "num_cpus": needs.cpus / 1000,
        "num_gpus": needs.gpus,
    }
    if needs.memory:
        options["memory"] = needs.memory
    return ray.remote(Host).options(**options).remote()


def _forget(host: Any) -> None:
    import ray

    with suppress(Exception):
        ray.kill(host)
