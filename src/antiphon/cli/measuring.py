"""What an instance is measured with: prompts and answers as long as those of its organization, over HTTP."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from itertools import count

from antiphon.cli.client import Client
from antiphon.cli.output import CommandFailed
from antiphon.cli.replay import answer
from antiphon.cli.sweep import Answered
from antiphon.ledger.workload import Shape

USUAL = (Shape(128, 64), Shape(512, 128), Shape(256, 256))
"""What is asked for an organization that has asked nothing yet."""
TRIAL_WORDS = 200
"""In the prompt that shows how many tokens a word has."""
LOOK_SECONDS = 0.25
_ENDING = "Go on with this for as long as you can, and do not come to an end."
_WORDS = (
    "river stone window garden evening letter morning paper bridge summer winter silver market travel "
    "circle yellow mother animal number forest answer island simple music dinner orange pocket button "
    "ladder candle mirror basket corner doctor engine family harbor ticket village weather"
).split()


class Asker:
    """Asks one model of a server for answers of given lengths. `context`: tokens of prompt and answer."""

    def __init__(self, client: Client, model: str, context: int) -> None:
        self._client = client
        self._model = model
        self._context = context
        self._numbers = count(1)
        self._bare, self._per_word = 0.0, 1.0
        """Tokens of a prompt without words, and of each word."""

    async def learn(self) -> None:
        """See how long prompts are in tokens of the model. Raises `CommandFailed`."""
        words = min(TRIAL_WORDS, max(1, self._context // 16))
        bare, full = [
            await self._client.token_count({"model": self._model, "messages": _messages(some, 0)})
            for some in (0, words)
        ]
        self._bare, self._per_word = bare, max((full - bare) / words, 0.1)

    async def __call__(self, shape: Shape) -> Answered:
        """Raises `CommandFailed`."""
        shape = fitted(shape, self._context)
        words = max(0, round((shape.prompt - self._bare) / self._per_word))
        body = {
            "model": self._model,
            "messages": _messages(words, next(self._numbers)),
            "max_tokens": shape.answer,
            "stream_options": {"include_usage": True},
        }
        found = await answer(self._client, body)
        first = found.seconds if found.first_token_seconds is None else found.first_token_seconds
        return Answered(
            first=first,
            seconds=found.seconds,
            prompt_tokens=found.prompt_tokens,
            answer_tokens=found.completion_tokens,
            wanted=shape.answer,
        )


def fitted(shape: Shape, context: int) -> Shape:
    """What of it a context has room for: first the answer gives way, down to a quarter, then the prompt.

    A sixteenth of it is left, since a word more or less becomes of a prompt.
    """
    room = max(2, context * 15 // 16)
    prompt = min(shape.prompt, max(1, room - min(shape.answer, max(1, room // 4))))
    return Shape(prompt, max(1, min(shape.answer, room - prompt)))


def _messages(words: int, number: int) -> list[dict[str, str]]:
    """So many words that begin unlike those of any other number: no prompt is found in a cache."""
    chosen = random.Random(number).choices(_WORDS, k=words)
    return [{"role": "user", "content": " ".join([*chosen, _ENDING])}]


async def until_sized(client: Client, deployment: str, load: int, replicas: int, seconds: float) -> None:
    """Wait until every gateway process has engines of this load. Raises `CommandFailed` after `seconds`.

    Each process tells its own share of the places: together they have all of them once the last of them does.
    """
    shares: dict[str, int] = {}
    deadline = time.monotonic() + seconds
    while True:
        for process, slots in (await client.slots(deployment)).items():
            shares[process] = slots
        wanted = replicas * max(1, load // max(1, len(shares)))
        if shares and min(shares.values()) >= wanted:
            return
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"the instance was not ready for a load of {load} within {seconds:.0f} s",
                fix="see its log in the data folder, or try smaller --loads",
            )
        await asyncio.sleep(LOOK_SECONDS)


def means(mix: Sequence[Shape]) -> tuple[float, float]:
    """Tokens of a prompt and of an answer, on average."""
    return sum(shape.prompt for shape in mix) / len(mix), sum(shape.answer for shape in mix) / len(mix)
