"""Restarts as the process sees them that serves: it starts the next one, hands over, and makes way."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import msgspec
from msgspec.structs import replace

from antiphon import __version__
from antiphon.cli import handover, room, standing
from antiphon.cli.guardian import Charge
from antiphon.cli.handover import Handed, NotReady, Successor
from antiphon.cli.notify import READY, STOPPING, notify, reloading
from antiphon.cli.output import CommandFailed
from antiphon.cli.standing import Standing
from antiphon.settings import Settings

_GUARDIAN = (sys.executable, "-P", "-m", "antiphon.cli.guardian")

_HEARD_SECONDS = 0.05
"""In which the event loop acts on signals that have come already."""

_log = logging.getLogger("antiphon")


class Restarts:
    """Of one server process. One that has no parent here is told by signals, and tells of itself in a file;
    one that has is told by that parent, its guardian.

    `listener` and `lock` are file descriptors that stay open for as long as this object is in use, and the
    port of `settings` is the one that it really listens on.
    """

    def __init__(self, settings: Settings, handed: Handed | None, listener: int, lock: int) -> None:
        self._settings = settings
        self._home = settings.home_path
        self._handed = handed
        self._listener, self._lock = listener, lock
        self._leave: Callable[[], None] = lambda: None
        self._end: Callable[[], None] = lambda: None
        self._asking: asyncio.Task[None] | None = None
        self._successor: Successor | None = None
        self._former: list[Successor] = []
        """Those between this one and the last, while their requests are ending."""
        self._watching: set[asyncio.Task[None]] = set()
        self._paused = self._ending = self._deserted = False
        self._settled = False
        self._noted: list[int] = []
        """Signals that came when this process was past acting on them."""
        self._terminal = handover.has_terminal()
        self._standing = Standing(
            pid=os.getpid(),
            server=os.getpid(),
            version=__version__,
            port=settings.port,
            starting=True,
            restarts=handed.restarts if handed else 0,
            restarting=handed is not None,
        )

    @property
    def waits(self) -> bool:
        """Whether no connection is to be taken before the engines are ready: somebody else takes them."""
        return self._is_child

    @property
    def _is_child(self) -> bool:
        return self._handed is not None and self._handed.is_child

    def begin(self) -> None:
        """This process has the data folder now."""
        handover.end_with(self._handed, lambda: self._ending)
        self._tell()

    def ready(self) -> None:
        """It serves now."""
        handover.say(self._handed)
        ended = self._standing.restarts + self._standing.restarting
        self._tell(starting=False, restarts=ended, restarting=False)
        self._notify(READY)

    def attend(self, end: Callable[[], None], leave: Callable[[], None]) -> None:
        """Act on signals: `end` lets running requests end and refuses new ones; `leave` takes no more
        connections, and lets all requests end that come over those that there are. Needs a running loop."""
        self._end, self._leave = end, leave
        heard: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._told_to_end,
            signal.SIGINT: self._told_to_end,
            signal.SIGHUP: self._told_to_ask_elsewhere if self._is_child else self._told_to_restart,
            signal.SIGUSR2: self._told_to_ask_elsewhere if self._is_child else self._told_to_pause,
        }
        if self._is_child:
            heard[signal.SIGUSR1] = leave
        for number, act in heard.items():
            asyncio.get_running_loop().add_signal_handler(number, self._hear, number, act)

    def _hear(self, number: int, act: Callable[[], None]) -> None:
        if self._settled:
            self._noted.append(number)
        else:
            act()

    async def settle(self) -> None:
        """No requests are left here: bring to an end what has begun. Signals are for what comes next."""
        if self._asking is not None:
            await asyncio.wait({self._asking})
        if self._successor is not None and self._successor.over:
            # Nobody is left to watch over those between: they end before this process does.
            await handover.see_off(self._former, self._settings.drain_seconds)
        self._settled = True
        handover.keep_signals()
        await asyncio.sleep(_HEARD_SECONDS)

    def close(self) -> None:
        """This process has served to its end: become what comes next, if anything does."""
        if self._successor is not None and not self._successor.over:
            self._become_guardian(self._successor)
        if self._paused:
            self._become_the_next()
        if not self._is_child:
            standing.remove(self._home)
        if self._successor is not None and not self._ending:
            raise CommandFailed("the server that was to take over has ended", fix="see its log")

    def _told_to_end(self) -> None:
        self._notify(STOPPING)
        if self._asking is not None:
            self._asking.cancel()
        again, self._paused, self._ending = self._ending, False, True
        others = (*self._former, self._successor)
        handover.tell_to_end([one for one in others if one is not None], again=again)
        if again or not self._deserted:
            self._end()

    def _told_to_ask_elsewhere(self) -> None:
        _log.warning("process %d is the one to be told of restarts: antiphon restart", os.getppid())

    def _told_to_restart(self) -> None:
        if self._terminal and not handover.has_terminal():
            _log.info("the terminal is closed")
            self._told_to_end()
        elif self._asking is None and not self._paused:
            self._asking = asyncio.create_task(self._restart(), name="restart")

    def _told_to_pause(self) -> None:
        if self._successor is not None:
            problem = "The requests of the server before the last restart are still ending."
            self._tell(restarts=self._standing.restarts + 1, problem=problem)
        elif self._asking is None and not self._paused:
            _log.info("restarting with a pause: connections wait until the new server is ready")
            self._tell(restarting=True, problem="")
            self._notify(reloading())
            self._paused = True
            self._leave()

    async def _restart(self) -> None:
        self._tell(restarting=True, problem="")
        self._notify(reloading())
        _log.info("restarting: starting the new server")
        problem, now = "", dict[str, object]()
        before, successor = self._successor, None
        try:
            successor, now = await self._started()
        except NotReady as why:
            problem = str(why)
            _log.error("the restart is given up, and this server goes on: %s", problem)
        except Exception as unexpected:
            problem = f"unexpected {type(unexpected).__name__}"
            _log.error("the restart is given up, and this server goes on", exc_info=unexpected)
        self._tell(restarts=self._standing.restarts + 1, restarting=False, problem=problem, **now)
        self._notify(READY)
        self._asking = None
        if successor is not None:
            _log.info("process %d serves now; the requests of the one before are ending", successor.pid)
            self._successor = successor
            self._watching.add(asyncio.create_task(self._watch(successor)))
            if before is None:
                self._leave()
            else:
                self._former.append(before)
                before.send(signal.SIGUSR1)

    async def _watch(self, successor: Successor) -> None:
        await successor.ended()
        if successor is self._successor:
            if not self._ending:  # else both were told to, and this one may end its requests yet
                _log.error("the new server has ended already")
                self._deserted = True
                handover.tell_to_end(self._former)
                self._end()
        else:
            self._former.remove(successor)

    async def _started(self) -> tuple[Successor, dict[str, object]]:
        """A successor that is ready, and what is to be told of it. Raises `NotReady`."""
        if missing := await asyncio.to_thread(room.lacking, self._standing.server):
            raise NotReady(room.told(missing))
        successor = handover.start(handover.command(), self._listener, self._lock)
        word = await successor.ready(self._settings.restart_seconds)
        return successor, {"server": successor.pid, "version": word.version}

    def _tell(self, **change: object) -> None:
        self._standing = replace(self._standing, **change)
        if not self._is_child:
            standing.write(self._home, self._standing)

    def _notify(self, state: str) -> None:
        if not self._is_child:
            notify(state)

    def _become_guardian(self, successor: Successor) -> NoReturn:
        """Go on as a small process that watches over the server: to the outside it is still this one."""
        charge = Charge(
            home=self._settings.home,
            command=handover.command(),
            seconds=self._settings.restart_seconds,
            drain=self._settings.drain_seconds,
            ending=self._ending,
            log=(self._settings.log_level, self._settings.log_format),
            listener=self._listener,
            lock=self._lock,
            line=successor.line.detach(),
            former=[(one.pid, one.line.detach()) for one in self._former],
            standing=self._standing,
        )
        for descriptor in charge.descriptors:
            os.set_inheritable(descriptor, True)
        handover.send_again(self._noted)
        os.execv(_GUARDIAN[0], [*_GUARDIAN, msgspec.json.encode(charge).decode()])

    def _become_the_next(self) -> NoReturn:
        for descriptor in (self._listener, self._lock):
            os.set_inheritable(descriptor, True)
        handed = Handed(self._listener, self._lock, restarts=self._standing.restarts)
        words = handover.command()
        given = os.environ | {handover.ENVIRONMENT: msgspec.json.encode(handed).decode()}
        handover.send_again(self._noted)
        os.execve(words[0], words, given)
