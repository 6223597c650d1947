"""Who is read next, where the gateway itself has too much to do: organizations take turns.

What a request costs before it is at the gate is the gateway's own time, which no queue of an engine shares
out. One organization that sends more than can be read would have everybody's requests and answers wait for
its own. So only a few requests are let on in each round of the event loop, of one organization after the
other; whatever else is to be done, as writing answers, is done once in each round, too.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable

EACH_ROUND = 4
"""Requests that are let on in a round: some two milliseconds of work."""


class Turnstile:
    """The requests of one event loop that are received, and not yet read. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._left = EACH_ROUND
        self._next_round: asyncio.Handle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    async def enter(self, organization: str) -> float:
        """Return when it is the organization's turn: at once, unless there is much to do. Seconds waited.

        How many wait is bounded by the connections that there are: each has one request at a time.
        """
        if self._left and not self._lines:
            self._left -= 1
            self._plan()
            return 0.0
        turn, began = asyncio.get_running_loop().create_future(), self._clock()
        self._lines.setdefault(organization, deque()).append(turn)
        self._plan()
        await turn  # who gives up is passed over when its turn comes
        return self._clock() - began

    def _plan(self) -> None:
        if self._next_round is None:
            self._next_round = asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        self._next_round, self._left = None, EACH_ROUND
        while self._left and self._lines:
            organization, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[organization] = line
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._left < EACH_ROUND:
            self._plan()
