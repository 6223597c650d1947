"""An answer goes on where it broke off: its text, its count of tokens, its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from msgspec.structs import replace

from antiphon.errors import EngineFailed
from antiphon.inference.continuing import Continuation, continuation
from antiphon.values import ChatJob, Delta, Form, Prompt, Usage

JOB = ChatJob(id="a", model="m", messages=(), max_tokens=10)
PROMPT = Prompt("Q:", (1, 2))


class Engine:
    """Reads one token for each letter, and writes `rest`, a letter a piece."""

    def __init__(self, rest: str = "cd", finish: str = "stop") -> None:
        self.rest = rest
        self.finish: Any = finish
        self.jobs: list[ChatJob] = []
        self.prompts: list[Prompt] = []

    async def continued(self, prompt: Prompt, text: str) -> Prompt:
        return Prompt(prompt.text + text, prompt.tokens + tuple(map(ord, text)))

    async def chat(self, job: ChatJob, prompt: Prompt) -> AsyncGenerator[Delta | Usage, None]:
        self.jobs.append(job)
        self.prompts.append(prompt)
        for number, letter in enumerate(self.rest, 1):
            last = self.finish if number == len(self.rest) else None
            yield Delta(0, letter, finish_reason=last, completion_tokens=number)
        yield Usage(prompt_tokens=prompt.length, cached_tokens=1, completion_tokens=len(self.rest))


async def rest_of(then: Continuation, engine: Any) -> list[Delta | Usage]:
    return [piece async for piece in then.pieces(engine)]


async def test_it_goes_on_with_what_was_said_and_counts_on() -> None:
    then, engine = Continuation(JOB, PROMPT, 100), Engine()
    then.saw(Delta(0, "a", completion_tokens=1))
    then.saw(Delta(0, "b", completion_tokens=3))
    assert then.possible
    assert await rest_of(then, engine) == [
        Delta(0, "c", completion_tokens=4),
        Delta(0, "d", finish_reason="stop", completion_tokens=5),
        Usage(prompt_tokens=2, completion_tokens=5),
    ]
    assert engine.prompts == [Prompt("Q:ab", (1, 2, ord("a"), ord("b")))]
    assert [job.max_tokens for job in engine.jobs] == [7]


@pytest.mark.parametrize(
    ("job", "context", "left"), [(JOB, 8, 4), (replace(JOB, max_tokens=None), 50, 46), (JOB, 100, 8)]
)
async def test_what_is_left_is_bounded_by_the_request_and_the_context(
    job: ChatJob, context: int, left: int
) -> None:
    then, engine = Continuation(job, PROMPT, context), Engine()
    then.saw(Delta(0, "ab", completion_tokens=2))
    await rest_of(then, engine)
    assert [one.max_tokens for one in engine.jobs] == [left]


@pytest.mark.parametrize(("job", "context"), [(replace(JOB, max_tokens=2), 100), (JOB, 4)])
async def test_where_nothing_is_left_it_ends_without_asking(job: ChatJob, context: int) -> None:
    then, engine = Continuation(job, PROMPT, context), Engine()
    then.saw(Delta(0, "ab", completion_tokens=2))
    end = [Delta(0, finish_reason="length", completion_tokens=2), Usage(prompt_tokens=2, completion_tokens=2)]
    assert await rest_of(then, engine) == end and engine.jobs == []


def test_what_has_said_its_end_is_over() -> None:
    then = Continuation(JOB, PROMPT, 100)
    then.saw(Delta(0, "a", finish_reason="stop", completion_tokens=1))
    assert not then.possible


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 2},
        {"seed": 1},
        {"presence_penalty": 0.5},
        {"frequency_penalty": -0.5},
        {"form": Form(grammar="root ::= [a]")},
    ],
)
def test_what_depends_on_more_than_the_text_is_not_gone_on_with(changes: dict[str, Any]) -> None:
    assert continuation([replace(JOB, **changes)], [PROMPT], 100) is None


def test_nor_are_several_prompts_and_prompts_that_are_read_elsewhere() -> None:
    assert continuation([JOB], [PROMPT], 100) is not None
    assert continuation([JOB, JOB], [PROMPT, PROMPT], 100) is None
    assert continuation([JOB], [Prompt("", (), about=5, at_most=9)], 100) is None
    assert continuation([JOB], [Prompt("", (1, 2))], 100) is None


async def test_the_other_may_break_off_too() -> None:
    class Broken(Engine):
        async def continued(self, prompt: Prompt, text: str) -> Prompt:
            raise EngineFailed("It broke off, too.")

    with pytest.raises(EngineFailed):
        await rest_of(Continuation(JOB, PROMPT, 100), Broken())
