"""Engine processes on a Ray cluster: Ray finds a place for each, reserves it, and tells when it is lost.

Requests never pass through Ray: the gateway goes to each process by TCP. Nor is the gateway itself a part of
the cluster: a process of its own is, `runtime.ray_control`, and if that is lost with the cluster's head,
running requests go on, and another one takes over the engines as soon as there is a cluster again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec

import msgspec

from antiphon.address import Address
from antiphon.errors import ConfigurationError
from antiphon.runtime.base import Command
from antiphon.runtime.ray_host import ADDRESS, LEASE_SECONDS, PYTHON
from antiphon.runtime.ray_messages import (
    LOST,
    Adopt,
    Answer,
    Ended,
    Failed,
    Joined,
    Look,
    Machines,
    Order,
    Refused,
    Start,
    Started,
    Stop,
    no_cluster,
)
from antiphon.values import NOTHING, Capacity

_CONTROL = (sys.executable, "-P", "-m", "antiphon.runtime.ray_control")
_JOIN_SECONDS = 30.0
"""Ray looks for a cluster for 20."""
_STOP_SECONDS = 10.0
"""What the end of a process may take beyond its grace."""
_LOOK_SECONDS = 10.0
_REJOIN_SECONDS = 2.0
"""Between two attempts to find the cluster again."""
_LINE_BYTES = 2**20

_LOST = "the cluster was lost"

_log = logging.getLogger("antiphon")


class RayProcess:
    """An engine process on some machine of the cluster: a `Process`."""

    def __init__(self, runtime: RayRuntime, started: Started) -> None:
        self.pid = started.pid
        self.address = started.address
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The runtime says here that it has ended."""
        self._runtime = runtime
        self.started = started

    async def wait(self) -> int:
        """Its exit code, once it has ended; that of SIGKILL also for one whose machine is lost."""
        return await asyncio.shield(self.ended)

    async def stop(self, grace: float) -> int:
        """End it; its exit code. One that cannot be reached for that is lost, and ends with its lease."""
        if not self.ended.done():
            if self._runtime.say(Stop(self.started.actor, grace)):
                await asyncio.wait({self.ended}, timeout=grace + _STOP_SECONDS)
            self._runtime.over(self.started.actor, LOST)
        return await self.wait()

    async def memory(self) -> int | None:
        """Nobody tells what is held on another machine."""
        return None


class RayRuntime:
    """Starts engine processes on the cluster at `address`, each with what it needs reserved for it.

    `lease`: how many seconds they outlive a server that is lost.
    """

    def __init__(self, address: str, lease: float = LEASE_SECONDS) -> None:
        """Raises `ConfigurationError` without Ray."""
        if find_spec("ray") is None:
            raise ConfigurationError("Ray is not installed", fix="make ray, or pip install 'antiphon[ray]'")
        self._address = address
        self._lease = lease
        self._joining = asyncio.Lock()
        self._control: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._rejoining: asyncio.Task[None] | None = None
        self._starting: dict[str, asyncio.Future[RayProcess]] = {}
        self._running: dict[str, RayProcess] = {}
        """Both by the names of actors."""
        self._looking: list[asyncio.Future[Mapping[str, Capacity]]] = []
        """Who waits to hear which machines there are."""

    async def machines(self) -> Mapping[str, Capacity]:
        """What there is for engines, by the addresses of the machines. Raises `ConfigurationError`."""
        await self._join()
        found: asyncio.Future[Mapping[str, Capacity]] = asyncio.get_running_loop().create_future()
        self._looking.append(found)
        self.say(Look())
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await found
        except TimeoutError:
            raise _no_cluster(self._address, None) from None

    async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> RayProcess:
        """Start a process where the cluster has room for it: returns once it runs. Raises `OSError`.

        Raises `ConfigurationError` when there is no cluster.
        """
        await self._join()
        actor = f"{name}-{secrets.token_hex(4)}"
        started: asyncio.Future[RayProcess] = asyncio.get_running_loop().create_future()
        self._starting[actor] = started
        try:
            if not self.say(Start(actor, name, _words(command), needs)):
                raise OSError(None, _LOST)
            return await asyncio.shield(started)
        except asyncio.CancelledError:
            self.say(Stop(actor, 0))
            await asyncio.wait({started}, timeout=_STOP_SECONDS)
            if started.done() and started.exception() is None:
                await started.result().stop(0)
            raise
        finally:
            del self._starting[actor]

    async def close(self) -> None:
        """Leave the cluster. Engines that still run are lost: they end with their leases."""
        self._all_over()
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.gather(self._rejoining, return_exceptions=True)
        control, reading = self._control, self._reading
        if control is not None and reading is not None:
            assert control.stdin is not None
            control.stdin.close()
            await asyncio.wait({reading}, timeout=_STOP_SECONDS)
            await _killed(control)
            await reading

    def say(self, order: Order) -> bool:
        """Tell the control process; whether there is one that hears it."""
        if self._control is None or self._control.stdin is None:
            return False
        self._control.stdin.write(msgspec.json.encode(order) + b"\n")
        return True

    def over(self, actor: str, code: int) -> None:
        """A process has ended, or is given up."""
        process = self._running.pop(actor, None)
        if process is not None and not process.ended.done():
            process.ended.set_result(code)

    def _begun(self, started: Started) -> RayProcess:
        process = RayProcess(self, started)
        self._running[started.actor] = process
        return process

    async def _join(self) -> None:
        """Have a control process that is part of the cluster. Raises `ConfigurationError`."""
        async with self._joining:
            if self._control is not None:
                return
            environment = {name: v for name, v in os.environ.items() if not name.startswith("ANTIPHON_")}
            control = await asyncio.create_subprocess_exec(
                *_CONTROL,
                self._address,
                str(self._lease),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C in the terminal is for the server
            )
            try:
                async with asyncio.timeout(_JOIN_SECONDS):
                    first = await _heard(control)
                if not isinstance(first, Joined):
                    raise _no_cluster(self._address, first)
            except TimeoutError:
                await _killed(control)
                raise _no_cluster(self._address, None) from None
            except BaseException:
                await asyncio.shield(_killed(control))
                raise
            self._control = control
            self._reading = asyncio.create_task(self._read(control), name="ray")

    async def _read(self, control: asyncio.subprocess.Process) -> None:
        """Hear what the control process says, until it ends."""
        while (answer := await _heard(control)) is not None:
            match answer:
                case Started() | Failed() if waiting := self._starting.get(answer.actor):
                    if isinstance(answer, Started):
                        waiting.set_result(self._begun(answer))
                    else:
                        waiting.set_exception(OSError(None, answer.problem))
                case Ended():
                    self.over(answer.actor, answer.code)
                case Machines():
                    self._looked(answer.found)
        self._control = None
        await _killed(control)
        for waiting in self._starting.values():
            if not waiting.done():
                waiting.set_exception(OSError(None, _LOST))
        if self._running:
            self._rejoining = asyncio.create_task(self._rejoin(), name="rejoin")

    async def _rejoin(self) -> None:
        """Attend again to the engines that run, unless their leases end first."""
        _log.warning("the Ray cluster is lost: its engines go on for %.0f s at most", self._lease)
        deadline = time.monotonic() + self._lease
        while self._running and time.monotonic() < deadline:
            with suppress(ConfigurationError, OSError):
                await self._join()
                for actor, process in self._running.items():
                    self.say(Adopt(actor, actor.rpartition("-")[0], process.started.machine))
                return
            await asyncio.sleep(_REJOIN_SECONDS)
        self._all_over()

    def _looked(self, found: Mapping[str, Capacity]) -> None:
        for waiting in self._looking:
            if not waiting.done():
                waiting.set_result(found)
        self._looking.clear()

    def _all_over(self) -> None:
        for actor in list(self._running):
            self.over(actor, LOST)


class _Unknown(Address, frozen=True):
    """An address that is known only where the process will run."""

    def __str__(self) -> str:
        return ADDRESS


def _words(command: Command) -> list[str]:
    return [PYTHON if word == sys.executable else word for word in command(_Unknown())]


async def _heard(control: asyncio.subprocess.Process) -> Answer | None:
    """The next answer; None once there are no more."""
    assert control.stdout is not None
    line = await control.stdout.readline()
    return msgspec.json.decode(line, type=Answer) if line.endswith(b"\n") else None


async def _killed(control: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        control.kill()
    await control.wait()


def _no_cluster(address: str, told: Answer | None) -> ConfigurationError:
    if isinstance(told, Refused):
        return ConfigurationError(told.message, fix=told.fix)
    return no_cluster(address)
