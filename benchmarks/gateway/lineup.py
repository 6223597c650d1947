"""The sides that a run compares: each is started for its turn and ended again, alone on its core."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway import house, peers, stub
from benchmarks.gateway.client import Failed
from benchmarks.gateway.measure import Target, turn
from benchmarks.gateway.plan import Plan
from benchmarks.gateway.proof import prove
from benchmarks.gateway.values import ANTIPHON, UPSTREAM, Turn
from benchmarks.processes import free_port, peer

NAMES = (UPSTREAM, ANTIPHON, *(peer.name for peer in peers.PEERS))


def cores() -> tuple[int, int]:
    """One core for the gateway, and one for the upstream and the clients. Raises `RuntimeError`."""
    if not hasattr(os, "sched_getaffinity"):
        raise RuntimeError("this system cannot keep processes to cores; Linux can")
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise RuntimeError("two cores are needed: one for the gateway, one for the upstream and the clients")
    return available[-1], available[0]


@contextmanager
def upstream(folder: Path, core: int) -> Iterator[int]:
    """The port of the stub upstream, which runs until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", stub.__name__, "--port", str(port), "--core", str(core)]
    with peer(command, folder / "stub.log", {}, f"http://127.0.0.1:{port}/health"):
        yield port


class Lineup:
    """Gives each side its turns."""

    def __init__(self, folder: Path, gateway_core: int, load_core: int, upstream: int) -> None:
        """`folder` keeps environments and logs; `upstream` is a port."""
        self._folder, self._upstream = folder, upstream
        self._gateway_core, self._load_core = gateway_core, load_core
        self._broken: dict[str, str] = {}

    async def turn(self, name: str, plan: Plan, *, hold: bool) -> Turn:
        """One round of a side. One that cannot be started, or does not answer, is not tried again."""
        if name not in self._broken:
            try:
                with self._running(name) as target:
                    await prove(target)
                    return await turn(target, plan, hold=hold)
            except (RuntimeError, OSError, Failed) as problem:
                self._broken[name] = str(problem)
        return Turn(problems=[self._broken[name]])

    @contextmanager
    def _running(self, name: str) -> Iterator[Target]:
        if name == UPSTREAM:
            yield Target(address=("127.0.0.1", self._upstream), key="none")
        elif name == ANTIPHON:
            with house.running(self._folder, self._gateway_core, self._load_core) as target:
                yield target
        else:
            [found] = [peer for peer in peers.PEERS if peer.name == name]
            with peers.running(found, self._folder, self._upstream, self._gateway_core) as target:
                yield target
