"""What a server becomes that has handed over to the next one: the process that signals still go to.

It answers no requests. It passes on that all is to end, starts the next server at the next restart, and ends
as the server ends that it watches over. So to systemd, to a container, and to a shell, a server stays one
process over any number of restarts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
from msgspec.structs import replace

from antiphon.cli import handover, room, standing
from antiphon.cli.handover import NotReady, Successor
from antiphon.cli.logs import configure
from antiphon.cli.notify import READY, STOPPING, notify, reloading
from antiphon.cli.standing import Standing

_log = logging.getLogger("antiphon")


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What a guardian is told on its command line: whom it watches over, and what it needs for the next."""

    home: str
    command: list[str]
    seconds: float
    """Longest wait for a new server to be ready."""
    drain: float
    """What one that is told to end may take for its requests, in seconds."""
    ending: bool
    """Whether all of them were told to end already."""
    log: tuple[str, str]
    """Level and format."""
    listener: int
    lock: int
    line: int
    """The lifeline of the server."""
    former: list[tuple[int, int]] = []
    """Servers whose last requests are ending: their processes and lifelines."""
    standing: Standing

    @property
    def descriptors(self) -> list[int]:
        return [self.listener, self.lock, self.line, *(line for _, line in self.former)]


class Guardian:
    """Watches over the server that `charge` names."""

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._home = Path(charge.home)
        self._standing = charge.standing
        self._current = self._known(charge.standing.server, charge.line)
        self._former = [self._known(pid, line) for pid, line in charge.former]
        """Those whose last requests are ending."""
        self._leaving: set[asyncio.Task[None]] = set()
        self._another = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._told = charge.ending
        self._ending = charge.ending
        self._terminal = handover.has_terminal()

    async def run(self) -> int:
        """Until the server has ended; its exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._told_to_restart, False)
        loop.add_signal_handler(signal.SIGUSR2, self._told_to_restart, True)
        handover.hear_signals()
        for one in self._former:
            self._let_go(one)
        while (code := await self._watched(self._current)) is None:
            continue
        if not self._ending:
            _log.error("the server ended %s", handover.ending(code))
        self._ending = True
        # Where this process is a container's first, or a service's, none outlives it.
        await handover.see_off(self._former, self._charge.drain)
        return 128 - code if code < 0 else code

    def _known(self, pid: int, line: int) -> Successor:
        return Successor(pid, socket.socket(fileno=line), told=self._charge.ending)

    def _let_go(self, former: Successor) -> None:
        """Keep one in mind, and reap it, whose last requests are ending."""

        async def until_ended() -> None:
            await former.ended()
            self._former.remove(former)

        self._leaving.add(task := asyncio.create_task(until_ended(), name=f"former-{former.pid}"))
        task.add_done_callback(self._leaving.discard)

    async def _watched(self, current: Successor) -> int | None:
        """How a server ended; None once another one has taken its place."""
        self._another.clear()
        ended = asyncio.create_task(current.ended())
        another = asyncio.create_task(self._another.wait())
        await asyncio.wait({ended, another}, return_when=asyncio.FIRST_COMPLETED)
        another.cancel()
        if self._asking is not None and not another.done():
            await asyncio.wait({self._asking})  # that it ends may be part of a restart
        return ended.result() if self._current is current else None

    def _end(self) -> None:
        if not self._ending:
            notify(STOPPING)
        again, self._told, self._ending = self._told, True, True
        if self._asking is not None:
            self._asking.cancel()
        handover.tell_to_end((self._current, *self._former), again=again)

    def _told_to_restart(self, paused: bool) -> None:
        if self._terminal and not paused and not handover.has_terminal():
            _log.info("the terminal is closed")
            self._end()
        elif self._asking is None and not self._ending:
            self._asking = asyncio.create_task(self._restart(paused), name="restart")

    async def _restart(self, paused: bool) -> None:
        self._tell(restarting=True, problem="")
        notify(reloading())
        problem, now = "", dict[str, object]()
        try:
            now = await (self._paused() if paused else self._replaced())
            _log.info("process %d serves now", self._current.pid)
        except NotReady as why:
            problem = str(why)
            _log.error("the restart failed: %s", problem)
        except Exception as unexpected:
            problem = f"unexpected {type(unexpected).__name__}"
            _log.error("the restart failed", exc_info=unexpected)
        self._tell(restarts=self._standing.restarts + 1, restarting=False, problem=problem, **now)
        notify(READY)
        self._asking = None

    async def _replaced(self) -> dict[str, object]:
        """Let another server take over, and the one before make way. On `NotReady` that one goes on."""
        if missing := await asyncio.to_thread(room.lacking, self._current.pid):
            raise NotReady(room.told(missing))
        before, successor = self._current, self._start()
        word = await successor.ready(self._charge.seconds)
        self._current = successor
        self._another.set()
        self._former.append(before)
        self._let_go(before)
        before.send(signal.SIGUSR1)
        return {"server": successor.pid, "version": word.version}

    async def _paused(self) -> dict[str, object]:
        """Let the server make way, and start another one then. Raises `NotReady`, and then there is none."""
        self._current.send(signal.SIGUSR1)
        await self._current.ended()
        self._current = self._start()
        word = await self._current.ready(self._charge.seconds)
        return {"server": self._current.pid, "version": word.version}

    def _start(self) -> Successor:
        return handover.start(self._charge.command, self._charge.listener, self._charge.lock)

    def _tell(self, **change: object) -> None:
        self._standing = replace(self._standing, **change)
        standing.write(self._home, self._standing)


def main() -> None:
    """Be one; the exit code is that of the server."""
    charge = msgspec.json.decode(sys.argv[1], type=Charge)
    for descriptor in charge.descriptors:
        os.set_inheritable(descriptor, False)
    configure(*charge.log)
    code = asyncio.run(_watch(charge))
    standing.remove(Path(charge.home))
    raise SystemExit(code)


async def _watch(charge: Charge) -> int:
    return await Guardian(charge).run()


if __name__ == "__main__":
    main()
