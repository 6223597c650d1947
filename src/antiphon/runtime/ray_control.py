"""The process that speaks with Ray for one server: `python -m antiphon.runtime.ray_control ADDRESS LEASE`.

Ray ends whoever is part of a cluster whose head, or whose part on this machine, is lost. So that is no
gateway but this process, which can be started anew. It is told on stdin and answers on stdout
(`ray_messages`), and ends when its stdin does. For each engine there is one detached actor, with what the
engine needs reserved for it, and a lease of so many seconds, which is renewed as long as this process lives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import msgspec
import ray
from msgspec.structs import replace
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from antiphon.errors import ConfigurationError
from antiphon.runtime import ray_placing as placing
from antiphon.runtime.ray_host import Host
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
from antiphon.runtime.ray_placing import Machine, Placed
from antiphon.values import Capacity

NAMESPACE = "antiphon"
PLACE_SECONDS = 60.0
"""Longest wait for a machine that has room for an engine."""
SUSPECT_SECONDS = 60.0
"""For how long a machine is avoided where an engine was lost: Ray itself gives it up much later than it is
missed."""
_STOP_SECONDS = 5.0
"""What an actor may take beyond the grace of its process."""
_BEATS = 12
"""Renewals of a lease in its time."""
_AUTH_MODE = "RAY_AUTH_MODE"


class Control:
    """The engines of one server, each an actor; `say` tells the server."""

    def __init__(self, lease: float, say: Callable[[Answer], None]) -> None:
        self._lease = lease
        self._say = say
        self._hosts: dict[str, Any] = {}
        """Handles of actors."""
        self._placed: dict[str, Placed] = {}
        """Both by the names of actors."""
        self._suspect: dict[str, float] = {}
        """Until when machines are avoided, in monotonic seconds."""
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._adopting: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, order: Order) -> None:
        """Do what is asked for; what came of it is said later."""
        match order:
            case Start():
                self._starting[order.actor] = self._begin(self._start(order))
            case Stop():
                self._begin(self._stop(order.actor, order.grace))
            case Adopt():
                self._adopting[order.actor] = self._begin(self._adopt(order))
            case Look():
                self._begin(self._look())

    async def beat(self) -> None:
        """Renew the leases of all engines, for ever."""
        while True:
            await asyncio.sleep(self._lease / _BEATS)
            for host in self._hosts.values():
                with suppress(ray.exceptions.RayError):  # its end is seen elsewhere
                    host.beat.remote()

    async def _start(self, order: Start) -> None:
        host = None
        try:
            host = await self._place(order)
            async with asyncio.timeout(PLACE_SECONDS):
                threads = order.needs.cpus // 1000
                address, pid, machine = await host.start.remote(order.name, order.words, threads)
        except BaseException as problem:
            await self._forget(order.actor)
            self._say(Failed(order.actor, _told(problem, order.needs)))
            if not isinstance(problem, Exception):
                raise
        else:
            self._placed[order.actor] = replace(self._placed[order.actor], machine=machine)
            self._say(Started(order.actor, address, pid, machine))
            self._begin(self._watch(order.actor, host))
        finally:
            del self._starting[order.actor]

    async def _place(self, order: Start) -> Any:
        """The handle of a new actor, which Ray will put where there is room.

        One that is given up half-way is nobody's, and ends with its lease.
        """
        machines, group = await asyncio.to_thread(_machines), placing.group(order.name)
        suspect = [machine for machine, until in self._suspect.items() if time.monotonic() < until]
        machine = placing.wanted(machines, self._placed.values(), group, order.needs, suspect)
        self._placed[order.actor] = Placed(group, machine or "", order.needs)
        host = await asyncio.to_thread(_actor, order.actor, order.needs, machine, self._lease)
        self._hosts[order.actor] = host
        return host

    async def _stop(self, actor: str, grace: float) -> None:
        if adopting := self._adopting.get(actor):
            await asyncio.wait({adopting})
        if starting := self._starting.get(actor):
            starting.cancel()
        elif host := self._hosts.get(actor):
            try:
                async with asyncio.timeout(grace + _STOP_SECONDS):
                    await host.stop.remote(grace)
            except (ray.exceptions.RayError, TimeoutError):
                await self._forget(actor)

    async def _adopt(self, order: Adopt) -> None:
        try:
            host = self._hosts[order.actor] = await asyncio.to_thread(ray.get_actor, order.actor, NAMESPACE)
        except ValueError:
            self._say(Ended(order.actor, LOST))
        else:
            self._placed[order.actor] = Placed(placing.group(order.name), order.machine)
            self._begin(self._watch(order.actor, host))
        finally:
            del self._adopting[order.actor]

    async def _watch(self, actor: str, host: Any) -> None:
        try:
            code: int = await host.wait.remote()
        except ray.exceptions.RayError:
            code = LOST
            if placed := self._placed.get(actor):
                self._suspect[placed.machine] = time.monotonic() + SUSPECT_SECONDS
        await self._forget(actor)
        self._say(Ended(actor, code))

    async def _forget(self, actor: str) -> None:
        """End an actor, and with it what it runs; of a machine that is gone, nothing has to be ended."""
        self._placed.pop(actor, None)
        if host := self._hosts.pop(actor, None):
            with suppress(ray.exceptions.RayError, ValueError):
                await asyncio.to_thread(ray.kill, host)

    async def _look(self) -> None:
        found = await asyncio.to_thread(_nodes)
        self._say(Machines({_address(node): _capacity(node) for node in found}))

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def join(address: str) -> None:
    """Be part of the cluster. Raises `ConfigurationError` if there is none, or if it does not let us in."""
    # Whoever reaches a cluster without tokens may run whatever they like on it.
    os.environ.setdefault(_AUTH_MODE, "token")
    try:
        ray.init(address=address, namespace=NAMESPACE, logging_level="error", log_to_driver=False)
    except (ray.exceptions.RayError, OSError, ValueError, RuntimeError) as problem:
        raise no_cluster(address, _first_line(problem)) from None


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _machines() -> list[Machine]:
    return [Machine(node["NodeID"], _capacity(node)) for node in _nodes()]


def _address(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


def _capacity(node: Mapping[str, Any]) -> Capacity:
    has = node["Resources"]
    return Capacity(
        cpus=round(has.get("CPU", 0) * 1000), memory=int(has.get("memory", 0)), gpus=int(has.get("GPU", 0))
    )


def _actor(name: str, needs: Capacity, machine: str | None, lease: float) -> Any:
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
    if machine:
        # Or elsewhere, where it has no room just now.
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
            machine, soft=True, _spill_on_unavailable=True
        )
    return ray.remote(Host).options(**options).remote(lease=lease)


def _told(problem: BaseException, needs: Capacity) -> str:
    match problem:
        case TimeoutError():
            room = f"{needs.cpus / 1000:g} CPUs, {needs.gpus} GPUs, {needs.memory >> 20} MiB"
            return f"no machine of the cluster had room for it within {PLACE_SECONDS:.0f} s: {room}"
        case ray.exceptions.RayTaskError():
            return f"where it was to run: {_first_line(problem.cause)}"
        case asyncio.CancelledError():
            return "it was given up"
        case _:
            return f"Ray says {type(problem).__name__}"


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


async def _attend(control: Control, orders: BinaryIO) -> None:
    """Do what is ordered until the other end of the pipe is closed."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in orders:
            loop.call_soon_threadsafe(control.hear, msgspec.json.decode(line, type=Order))
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, name="orders", daemon=True).start()
    beating = asyncio.create_task(control.beat(), name="beat")
    await ended.wait()
    beating.cancel()


def main() -> None:
    """Join the cluster that the command line names, and attend to engines on it."""
    address, lease = sys.argv[1], float(sys.argv[2])
    answers, told = os.fdopen(os.dup(1), "wb", buffering=0), os.fdopen(os.dup(2), "w", buffering=1)
    logging.basicConfig(stream=told, format="%(asctime)s [ray] %(levelname)s %(name)s %(message)s")
    # What Ray prints is no answer, and of no use to an operator: the last lines of logs that it keeps itself.
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

    def say(answer: Answer) -> None:
        with suppress(BrokenPipeError):  # the end of the orders tells it, too
            answers.write(msgspec.json.encode(answer) + b"\n")

    try:
        join(address)
    except ConfigurationError as problem:
        say(Refused(problem.message, problem.fix or ""))
        raise SystemExit(1) from None
    say(Joined())
    with open(0, "rb", closefd=False) as orders:
        asyncio.run(_attend(Control(lease, say), orders))
    os._exit(0)  # to take leave of a cluster that is gone would last


if __name__ == "__main__":
    main()
