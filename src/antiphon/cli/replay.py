"""Prompts replayed on two models of a running server, in turns, with the clock beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from antiphon.cli.client import Busy, Chunk, Client, Function, Usage
from antiphon.cli.comparison import Answer, Failure, Outcome, Pair
from antiphon.cli.output import CommandFailed
from antiphon.cli.prompts import Prompt

WAIT_SECONDS = 300.0
"""Longest that a request waits, in all, for a server that says when to come back."""
SHORTEST_WAIT = 0.1
_LEGACY = -1
"""Where the one call of an answer in the form of 2023 stands among the calls."""


class Replay:
    """The prompts on both sides; `pairs` is what is known so far, also after it was broken off.

    `done` requests are answered or have `failed`; `waiting` ones were told to come back later.
    """

    def __init__(self, client: Client, models: tuple[str, str], prompts: Sequence[Prompt]) -> None:
        self.done = self.failed = self.waiting = 0
        self.changed: Callable[[], None] = lambda: None
        self._client = client
        self._models = models
        self._prompts = prompts
        self._outcomes: list[list[Outcome]] = [[None, None] for _ in prompts]

    @property
    def pairs(self) -> list[Pair]:
        """The prompts of which at least one side is known."""
        both = zip(self._prompts, self._outcomes, strict=True)
        return [Pair(prompt, *outcomes) for prompt, outcomes in both if any(outcomes)]

    async def run(self, concurrency: int) -> None:
        """Ask everything, so many requests at once. A prompt's second side is asked after its first."""
        todo = iter(range(len(self._prompts)))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(self._prompts))):
                group.create_task(self._work(todo))

    async def _work(self, todo: Iterator[int]) -> None:
        for number in todo:
            # The second may find the prompt in a cache: that shall be either side's turn.
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                outcome = await self._ask(self._models[side], self._prompts[number])
                self._outcomes[number][side] = outcome
                self.done += 1
                self.failed += isinstance(outcome, Failure)
                self.changed()

    async def _ask(self, model: str, prompt: Prompt) -> Outcome:
        body = {**prompt.body, "model": model, "stream_options": {"include_usage": True}}
        waited = 0.0
        while True:
            try:
                return await answer(self._client, body)
            except Busy as refusal:
                wait = max(refusal.wait, SHORTEST_WAIT)
                waited += wait
                if waited > WAIT_SECONDS:
                    return Failure(refusal.message)
                await self._wait(wait)
            except CommandFailed as problem:
                return Failure(problem.message)

    async def _wait(self, seconds: float) -> None:
        self.waiting += 1
        self.changed()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.waiting -= 1


async def answer(client: Client, body: dict[str, Any]) -> Answer:
    """One answer and how long it took. Raises `CommandFailed`, as well of one that is not whole."""
    heard = Heard(time.monotonic)
    async with aclosing(client.chunks(body)) as chunks:
        async for chunk in chunks:
            heard.take(chunk)
    return heard.whole()


class Heard:
    """An answer as its chunks tell it; it is begun when this is made."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._first: float | None = None
        self._seconds = 0.0
        self._texts: list[str] = []
        self._calls: dict[int, list[str]] = {}
        """Of each call its name, then its arguments in pieces."""
        self._finish: str | None = None
        self._usage: Usage | None = None

    def take(self, chunk: Chunk) -> None:
        """The next chunk of the stream."""
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            self._finish = choice.finish_reason or self._finish
            delta = choice.delta
            if delta.content:
                self._texts.append(delta.content)
            for call in delta.tool_calls or ():
                self._call(call.index, call.function)
            if delta.function_call:
                self._call(_LEGACY, delta.function_call)
        self._seconds = self._clock() - self._begun
        if self._first is None and (self._texts or self._calls):
            self._first = self._seconds

    def _call(self, index: int, function: Function) -> None:
        call = self._calls.setdefault(index, [""])
        call[0] = call[0] or function.name or ""
        call.append(function.arguments or "")

    def whole(self) -> Answer:
        """The answer, once the stream has ended. Raises `CommandFailed` if something of it is missing."""
        if self._finish is None or self._usage is None:
            raise CommandFailed("the server did not say why the answer ended, or what it used")
        return Answer(
            text="".join(self._texts),
            calls=tuple(f"{name}({''.join(arguments)})" for name, *arguments in self._calls.values()),
            finish_reason=self._finish,
            first_token_seconds=self._first,
            seconds=self._seconds,
            prompt_tokens=self._usage.prompt_tokens,
            cached_tokens=self._usage.prompt_tokens_details.cached_tokens,
            completion_tokens=self._usage.completion_tokens,
        )
