"""Disks that forget what was not synced, a database that goes away, and processes that are killed."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from sqlalchemy import Engine

from antiphon.errors import AntiphonError, Unavailable
from benchmarks.simulation.loop import Clock

T = TypeVar("T")

_current: ContextVar[Process | None] = ContextVar("process", default=None)


class File:
    def __init__(self) -> None:
        self.data, self.synced = b"", 0


class Disk:
    """One machine's disk; each process reaches it through a `Handle`."""

    def __init__(self, chance: random.Random) -> None:
        self.folders: dict[str, dict[str, File]] = {}
        self.locks: dict[str, Process] = {}
        self.full = False
        self._chance = chance

    def lose_power(self) -> None:
        """Of what was not synced, any part may be there afterwards, and zeros where the rest would be."""
        for files in self.folders.values():
            for file in files.values():
                loose = file.data[file.synced :]
                kept = loose[: self._chance.randint(0, len(loose))]
                zeros = b"\0" * self._chance.choice((0, 0, 7, 64)) if len(kept) < len(loose) else b""
                file.data = file.data[: file.synced] + kept + zeros
                file.synced = len(file.data)


class Handle:
    """`antiphon.ledger.disk.Disk` for one process."""

    def __init__(self, disk: Disk, process: Process, chance: random.Random) -> None:
        self._disk, self._process, self._chance = disk, process, chance
        self.breaks_next_sync = self.broken = False

    def create(self, folder: str) -> None:
        self._no_space()
        self._disk.folders[folder] = {}
        self._disk.locks[folder] = self._process

    def _no_space(self) -> None:
        if self._disk.full:
            raise OSError(errno.ENOSPC, "no space")

    def folders(self) -> list[str]:
        return sorted(self._disk.folders)

    def lock(self, folder: str) -> bool:
        if folder in self._disk.locks or folder not in self._disk.folders:
            return False
        self._disk.locks[folder] = self._process
        return True

    def files(self, folder: str) -> list[str]:
        return sorted(self._disk.folders.get(folder, {}))

    def read(self, folder: str, name: str) -> bytes:
        return self._disk.folders[folder][name].data

    def append(self, folder: str, name: str, data: bytes) -> None:
        file = self._disk.folders[folder].setdefault(name, File())
        if self._disk.full:
            file.data += data[: self._chance.randint(0, len(data))]
        self._no_space()
        file.data += data

    def sync(self, folder: str, name: str) -> None:
        if self.breaks_next_sync:
            self.breaks_next_sync, self.broken = False, True
            raise OSError(errno.EIO, "input/output error")
        file = self._disk.folders[folder][name]
        file.synced = len(file.data)

    def truncate(self, folder: str, name: str, size: int) -> None:
        file = self._disk.folders[folder][name]
        file.data, file.synced = file.data[:size], size

    def remove(self, folder: str, name: str) -> None:
        del self._disk.folders[folder][name]

    def drop(self, folder: str) -> None:
        del self._disk.folders[folder]
        self.release(folder)

    def release(self, folder: str) -> None:
        del self._disk.locks[folder]


class Database:
    """One database for all processes. A transaction is one step, and may fail before or after its commit."""

    def __init__(self, engine: Engine, clock: Clock, chance: random.Random) -> None:
        self._engine, self._clock, self._chance = engine, clock, chance
        self.away_until = self.hangs_until = 0.0
        self.failing = 0.0
        """The share of transactions that fail."""

    async def run(self, process: Process, work: Callable[..., T], *arguments: Any) -> T:
        await process.pause(self._chance.uniform(0, 0.02))
        while self._clock.now < self.hangs_until:
            await process.pause(self.hangs_until - self._clock.now + 0.001)
        if self._clock.now < self.away_until or self._chance.random() < self.failing / 2:
            raise Unavailable("The database is away.")
        with self._engine.begin() as connection:
            result: T = work(connection, *arguments)
        await process.pause(self._chance.uniform(0, 0.02))
        if self._chance.random() < self.failing / 2:
            raise Unavailable("The database went away before it answered.")
        return result

    def look(self, work: Callable[..., T], *arguments: Any) -> T:
        """Ask at once, without faults."""
        with self._engine.begin() as connection:
            return work(connection, *arguments)


class Process:
    """The tasks of one process, which a kill stops wherever they are. Also its ledger's store and runner."""

    def __init__(self, database: Database, disk: Disk, clock: Clock, chance: random.Random) -> None:
        self._database, self._clock, self._chance = database, clock, chance
        self.disk = Handle(disk, self, chance)
        self._machine = disk
        self.dead = False
        self.frozen_from = self.frozen_until = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._works: dict[int, Callable[[], Any]] = {}
        self._writer = asyncio.Lock()
        """One piece of work at a time touches the disk, in the order in which they came."""

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        """A task of this process; what it starts belongs to the process too."""
        context = copy_context()
        context.run(_current.set, self)
        return asyncio.get_running_loop().create_task(coroutine, context=context)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._database.run(self, work, *arguments)

    async def on_disk(self, work: Callable[[], T]) -> T:
        async with self._writer:
            self._works[id(work)] = work
            try:
                await self.pause(self._chance.uniform(0, 0.004))
            finally:
                if not self.dead:
                    del self._works[id(work)]
            result = work()
        await self.pause(self._chance.uniform(0, 0.004))
        return result

    async def pause(self, seconds: float) -> None:
        """Time that passes for this process: without end once it is dead."""
        await asyncio.sleep(seconds)
        if self._clock.now < self.frozen_until:
            return await self.pause(self.frozen_until - self._clock.now + 0.001)
        if self.dead:
            await asyncio.get_running_loop().create_future()

    async def kill(self) -> None:
        """Stop everything at once. What the disk had been told may or may not still have happened."""
        self.dead = True
        for work in self._works.values():
            if self._chance.random() < 0.5:
                try:
                    work()
                except (OSError, AntiphonError):
                    continue
        self._works.clear()
        while running := [task for task in self._tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.sleep(0)
        self._tasks.clear()
        for folder in [name for name, owner in self._machine.locks.items() if owner is self]:
            del self._machine.locks[folder]

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Gives each task to the process that it was started in."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context = options.get("context")
    process = context.get(_current) if context is not None else _current.get()
    if process is not None:
        process.adopt(task)
    return task
