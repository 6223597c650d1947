"""What others run: nothing is started or ended here, it is only known where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from antiphon.address import Address
from antiphon.runtime.base import Command
from antiphon.values import NOTHING, Capacity


class Foreign:
    """A server that others run, as a `Process` that never ends: that it is gone shows when it is asked."""

    pid = None

    def __init__(self, address: Address) -> None:
        self.address = address

    async def wait(self) -> int:
        await asyncio.Event().wait()
        return 0

    async def stop(self, grace: float) -> int:
        return 0

    async def memory(self) -> int | None:
        return None


class Elsewhere:
    """A `Runtime` that finds. `find` may block."""

    def __init__(self, find: Callable[[], Address]) -> None:
        self._find = find

    async def machines(self) -> Mapping[str, Capacity]:
        """None of ours."""
        return {}

    async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> Foreign:
        return Foreign(await asyncio.to_thread(self._find))

    async def close(self) -> None:
        """There is nothing to let go of."""
