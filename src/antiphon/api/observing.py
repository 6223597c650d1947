"""Who watches requests and their answers, off the path of both: what is kept, and what monitors them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from antiphon.values import Caller, Observation


class Observer(Protocol):
    """Never raises, and never waits: what takes time goes into a bounded queue of its own."""

    def wants(self, caller: Caller) -> bool:
        """Whether the content of this caller's requests is worth being put together."""

    def observe(self, seen: Observation) -> asyncio.Future[None] | None:
        """A request is over. Its recording is removed once this returns: who needs it makes a link to it.

        What it may give is waited for, a few seconds at most, before the end of the answer is sent.
        """
