"""Who may do a piece of work next, when several organizations want to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many pieces of work at once. Organizations take turns, however many of one stand in line.

    For one event loop. Each that stands in line is a recording that waits, so the desk bounds them.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        """The organization whose turn is next comes first; none is without somebody in line."""

    @asynccontextmanager
    async def turn(self, organization: str) -> AsyncIterator[None]:
        """Wait for a place, and have it during the block."""
        if self._free:
            self._free -= 1
        else:
            place = asyncio.get_running_loop().create_future()
            self._lines.setdefault(organization, deque()).append(place)
            try:
                await place
            except asyncio.CancelledError:
                if not place.cancelled():
                    self._pass_on()  # It was given at the same moment.
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        """Give a place to the next one in line, if any."""
        while self._lines:
            organization = next(iter(self._lines))
            line = self._lines.pop(organization)
            place = line.popleft()
            if line:
                self._lines[organization] = line
            if not place.done():  # Else somebody who has left.
                place.set_result(None)
                return
        self._free += 1
