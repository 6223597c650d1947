"""One request to the chat engine, between the event loop and the scheduler's thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

from antiphon.errors import AntiphonError
from antiphon.workers.chat.pipeline import Finish, Output, Running
from antiphon.workers.chat.prefixes import BLOCK, Chain

_numbers = count(1)


class Request:
    """One request, from the hand-over to its end. Its answer is read with `pieces`."""

    def __init__(
        self, prompt: list[int], generation: dict[str, Any], grammar: str = "", partition: str = ""
    ) -> None:
        self.number = next(_numbers)
        self.prompt, self.generation, self.grammar, self.partition = prompt, generation, grammar, partition
        self.need = -(-(len(prompt) + generation["max_new_tokens"]) // BLOCK) + 1
        """Most blocks that it may take: a last one that is shared is copied before it is written to."""
        self.cancelled = False
        # Bounded by the tokens it may generate.
        self._ready: asyncio.Queue[Output | AntiphonError] = asyncio.Queue()
        # What only the thread touches.
        self.running: Running | None = None
        self.chain: Chain | None = None
        self.keys: list[bytes] = []
        self.changes = -1
        """Of `Partitions`, when these were made."""
        self.there = 0
        """Blocks of the prompt that were there when it entered."""
        self.last: list[int] = []
        """The token generated last, if there is one: it is not computed before the next step."""

    @property
    def cached(self) -> int:
        """Tokens of the prompt that did not have to be computed; known once there is a first token."""
        # The last one always is: the first of the answer follows from it.
        return min(self.there * BLOCK, len(self.prompt) - 1)

    def hand(self, given: Output | AntiphonError) -> None:
        """To be called in the event loop."""
        self._ready.put_nowait(given)

    async def pieces(self) -> AsyncGenerator[tuple[list[int], Finish], None]:
        """New tokens as they come, with the finish in the last. Raises what went wrong."""
        while True:
            given = await self._ready.get()
            if isinstance(given, AntiphonError):
                raise given
            yield given.tokens, given.finish
            if given.finish:
                return
