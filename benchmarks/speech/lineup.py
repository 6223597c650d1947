"""The sides that a run compares, all with the model, the beam and the cores of the running Antiphon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from antiphon.cores import cores
from benchmarks.processes import free_port
from benchmarks.speech.house import House
from benchmarks.speech.sides import Address, HttpSide, Minimal, PeerSide, Side
from benchmarks.speech.values import ANTIPHON, BATCHED, MINIMAL, WHISPER


class Lineup:
    """Starts what is asked for, and ends it again."""

    def __init__(self, house: House, warm_up: Path, logs: Path, peers: Sequence[Address] = ()) -> None:
        """`peers` are servers that somebody else runs; `logs` is a folder."""
        self.house = house
        self._warm_up = warm_up
        self._logs = logs
        self._peers = peers

    @asynccontextmanager
    async def sides(
        self, *names: str, workers: int = 1, servers: bool = False
    ) -> AsyncIterator[dict[str, Side]]:
        """The named sides, in this order, not started yet; with `servers`, the peers of the command line too.

        `workers` are faster-whisper's model workers; its threads are shared among them.
        """
        async with AsyncExitStack() as stack:
            found = [self._side(name, workers, stack) for name in names]
            if servers:
                found += [self._peer(address) for address in self._peers]
            for side in found:
                stack.push_async_callback(side.close)
            yield {side.name: side for side in found}

    async def cores(self) -> int:
        return await self.house.threads() or cores()

    def _side(self, name: str, workers: int, stack: AsyncExitStack) -> Side:
        if name == ANTIPHON:
            return HttpSide(name, self._antiphon, self._warm_up)
        if name == MINIMAL:
            minimal = Minimal(self._model, free_port(), self._logs / "minimal.log")
            stack.push_async_callback(minimal.close)
            return HttpSide(name, minimal.address, self._warm_up)
        flags = partial(self._whisper, workers=workers, batched={WHISPER: False, BATCHED: True}[name])
        return PeerSide(name, flags, self._warm_up, self._logs / f"{name}.log")

    def _peer(self, address: Address) -> Side:
        async def found() -> Address:
            return address

        return HttpSide(f"{address.url} ({address.model})", found, self._warm_up)

    async def _antiphon(self) -> Address:
        server = await self.house.server()
        return Address(server.url, "whisper-1", server.key, await self.house.engine())

    async def _model(self) -> list[str]:
        """What the minimal server is started with: every core for one worker, as its users do."""
        return await self._flags(await self.cores())

    async def _whisper(self, workers: int, batched: bool) -> list[str]:
        flags = await self._flags(max(1, await self.cores() // workers))
        return [*flags, "--workers", str(workers), *(["--batched"] if batched else [])]

    async def _flags(self, threads: int) -> list[str]:
        model, beam = await self.house.model(), await self.house.beam()
        return ["--model", str(model), "--threads", str(threads), "--beam", str(beam)]
