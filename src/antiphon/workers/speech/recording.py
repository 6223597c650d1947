"""A recording that is open, and perhaps held: it goes on once it is started."""

from __future__ import annotations

import asyncio

from antiphon.errors import RequestTimeout

HOLD_SECONDS = 120.0
"""Longest time between the opening of a recording and its start."""


class Recording:
    """One that is open. `seconds` of sound as scanned; `expected` seconds until its last segment."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.seconds = self.expected = 0.0
        self._begun = asyncio.Event()

    def start(self) -> None:
        """Go on with it."""
        self._begun.set()

    async def started(self) -> None:
        """Return once it is started. Raises `RequestTimeout` if nobody does so in time."""
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                await self._begun.wait()
        except TimeoutError:
            raise RequestTimeout("The recording was not started in time.") from None
