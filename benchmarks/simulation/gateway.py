"""A gateway process of the simulated world, with a real ledger, and the requests that it takes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from antiphon.errors import AntiphonError, InsufficientQuota
from antiphon.ledger.ledger import Ledger
from antiphon.values import Snapshot, Usage
from benchmarks.simulation.machines import Disk, Process

if TYPE_CHECKING:
    from benchmarks.simulation.world import World

DOUBT_SECONDS = 1.0
"""An end that nobody waits for is on the disk after so long, unless that is frozen, full or broken."""


class Told(msgspec.Struct):
    """What became of one request, as whoever sent it knows."""

    snapshot: Snapshot
    bound: int
    handed: Usage | None = None
    settling: Usage | None = None
    """What its settlement was asked for."""
    settled: bool = False
    """Whether that was answered."""
    refused: bool = False
    killed: bool = False
    """Its process died, or its disk broke, before its end can have been recorded for certain."""


class Gateway:
    """One gateway process that is started again whenever it ends."""

    def __init__(self, world: World, machine: Disk) -> None:
        self._world, self.machine = world, machine
        self.process: Process | None = None
        self.ledger: Ledger | None = None
        self.stop = asyncio.Event()
        self.stopping = False
        self._killed = asyncio.Event()
        self._power = False
        self._ends: list[tuple[float, Told]] = []
        """When requests ended whose end nobody waited for."""

    async def live(self) -> None:
        while not self.stopping:
            self.stop.clear()
            self._killed.clear()
            world = self._world
            self.process = Process(world.database, self.machine, world.clock, world.chance)
            life = self.process.spawn(self._serve())
            killed = asyncio.create_task(self._killed.wait())
            await asyncio.wait((life, killed), return_when=asyncio.FIRST_COMPLETED)
            self.ledger = None
            killed.cancel()
            with suppress(AntiphonError, TimeoutError, OSError):
                if life.done() and not life.cancelled() and (problem := life.exception()):
                    raise problem
            self._doubt()
            await self.process.kill()
            if self._power:
                self._power = False
                self.machine.lose_power()
            await asyncio.sleep(world.chance.uniform(0.1, 3))

    def kill(self, power: bool = False) -> None:
        self._power = self._power or power
        self._killed.set()

    def _doubt(self) -> None:
        """What ended just before the process did may not have reached the disk."""
        process, since = self.process, self._world.clock.now
        assert process is not None
        if process.frozen_until > since - DOUBT_SECONDS:
            since = process.frozen_from
        for ended, told in self._ends:
            told.killed |= process.disk.broken or ended > since - DOUBT_SECONDS
        self._ends.clear()

    async def _serve(self) -> None:
        process, world = self.process, self._world
        assert process is not None
        async with Ledger(
            process,
            process.disk,
            process.on_disk,
            host="simulated",
            clock=world.clock.wall,
            monotonic=world.clock.monotonic,
        ) as ledger:
            self.ledger = ledger
            await self.stop.wait()
            self.ledger = None

    def ask(self) -> None:
        """Send one request, and perhaps leave before its end."""
        assert self.process is not None and self.ledger is not None
        work = self.process.spawn(self._request(self.ledger, self.process))
        if self._world.chance.random() < 0.2:
            asyncio.get_running_loop().call_later(self._world.chance.uniform(0, 1.5), work.cancel)

    async def _request(self, ledger: Ledger, process: Process) -> None:
        world, chance = self._world, self._world.chance
        request_id, account, snapshot, most, used = world.new_request()
        told = world.told(request_id, snapshot, most)
        opened = False
        try:
            async with ledger.meter.open(request_id, account, snapshot, most) as bill:
                opened = True
                await asyncio.sleep(chance.uniform(0, 0.5))
                for part in (0.0, 0.3, 0.7):
                    if chance.random() < 0.5:
                        told.handed = _part(used, part)
                        bill.handed(told.handed)
                    await asyncio.sleep(chance.uniform(0, 0.5))
                if chance.random() < 0.1:
                    raise RuntimeError("the engine failed")
                told.settling = used
                await bill.settle(used)
                told.settled = True
        except InsufficientQuota:
            told.refused = True
            world.count("insufficient quota")
        except AntiphonError:
            told.refused = not opened
            told.killed = opened
            world.count("unavailable")
        except RuntimeError:
            world.count("engine failed")
        finally:
            frozen = process.frozen_until > world.clock.now
            told.killed |= process.dead or frozen or self.machine.full or process.disk.broken
            self._ends.append((world.clock.now, told))


def _part(usage: Usage, part: float) -> Usage:
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=int(usage.completion_tokens * part),
        seconds=usage.seconds * part,
    )
