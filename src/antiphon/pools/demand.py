"""When a replica runs: all the time, or only while it is asked for; and when it is to start anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from antiphon.pools.member import Member, log

_LOOK = 1.0
"""Seconds between two looks at whether anybody still asks."""
_GRACE = 5.0
_SOON = 0.1
_LOOKS = 50
"""So often, `_SOON` seconds after one another, it is looked whether all have heard that one will end."""
_AGAIN = 30.0
"""Seconds after which it is tried again to start one anew, that somebody asked for in the last moment."""
_BACK_LOOKS = 600
"""So often it is looked whether one that was started anew is back, before the next one may go."""


class Keeper(Protocol):
    """Decides when one member runs."""

    def require(self, always: bool) -> None:
        """Let it run all the time, or only while it is asked for. Needs a running event loop."""

    def wake(self) -> None:
        """Somebody is about to ask: let it run; it becomes ready later. Needs a running event loop."""

    async def stop(self, grace: float) -> None:
        """End it as `Member.stop` does; it starts no more by itself."""


async def _never() -> str:
    return ""


class Demand:
    """The keeper of an engine of this process: it starts when it is woken, and ends once nobody has asked for
    `idle` seconds; one that is `spare` as soon as it is not required and has no requests.

    `busy` counts the requests that hold it. Whoever waits for it to become ready has woken it: `idle` must
    be longer than that may take. `heard` says whether the processes that use it act according to what they
    were told of it.

    `outgrown` tells in a few words why it is to be started anew as soon as it has nothing to do; nothing if
    it is not. `turn` is held by the one of several engines that is.
    """

    def __init__(
        self,
        member: Member,
        busy: Callable[[], int],
        idle: float,
        heard: Callable[[], bool] = lambda: True,
        *,
        spare: bool = False,
        outgrown: Callable[[], Awaitable[str]] = _never,
        turn: asyncio.Lock | None = None,
    ) -> None:
        self._member = member
        self._busy = busy
        # Who gives a spare one up has waited already.
        self._idle = _LOOK if spare else idle
        self._heard = heard
        self._outgrown = outgrown
        self._turn = turn or asyncio.Lock()
        self._always = False
        self._asked = 0.0
        self._renew_after = 0.0
        self._task: asyncio.Task[None] | None = None

    def require(self, always: bool) -> None:
        if self._always and not always:
            self._asked = time.monotonic()
        self._always = always
        if always:
            self.wake()

    def wake(self) -> None:
        self._asked = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="demand")

    async def stop(self, grace: float) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._member.stop(grace)

    async def _run(self) -> None:
        while True:
            self._member.start()
            await self._until_idle()
            while not await self._let_go(self._wanted):
                await self._until_idle()
            await self._member.stop(_GRACE)
            # Who woke it while it was ending waits for the next one.
            if not self._wanted():
                return

    async def _until_idle(self) -> None:
        while self._wanted():
            await asyncio.sleep(_LOOK)
            if self._busy():
                self._asked = time.monotonic()
            elif self._quiet() and await self._outgrown():
                async with self._turn:
                    await self._renew()

    async def _renew(self) -> None:
        """Start it anew, unless somebody asks before that. Who asks meanwhile waits, as at any start."""
        reason, began = await self._outgrown(), time.monotonic()
        if self._busy() or not reason:
            return  # since it waited for its turn
        if not await self._let_go(lambda: self._asked > began):
            self._renew_after = time.monotonic() + _AGAIN
            return
        log.info("%s: it is started anew", reason)
        await self._member.stop(_GRACE)
        self._member.renewed += 1
        self._member.start()
        for _ in range(_BACK_LOOKS):
            if self._member.ready:
                break
            await asyncio.sleep(_SOON)

    async def _let_go(self, wanted: Callable[[], bool]) -> bool:
        """Let nobody send it new requests: whether it may end, since nobody has done so meanwhile."""
        self._member.leave(True)
        for _ in range(_LOOKS):
            # At least once: who was let in before may be on the way to it.
            await asyncio.sleep(_SOON)
            if self._heard() or wanted():
                break
        if self._heard() and not self._busy() and not wanted():
            return True
        self._member.leave(False)
        self._asked = time.monotonic()
        return False

    def _quiet(self) -> bool:
        """Whether nobody has asked since the last look."""
        now = time.monotonic()
        return now - self._asked >= _LOOK and now >= self._renew_after

    def _wanted(self) -> bool:
        return self._always or time.monotonic() - self._asked < self._idle
