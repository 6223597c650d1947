"""The loads: each puts requests on one side that runs, and says how that went.

Prompts are made of a seed, so that all sides get the same ones, and none shares a beginning with another
that an engine could have kept, unless the load is about that.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import count

from benchmarks.chat.client import Answer, Target, ask, at_once, body, session, summary
from benchmarks.chat.plan import Plan
from benchmarks.chat.values import Round

Load = Callable[[Target, Plan, int, str], Awaitable[Round]]
"""Asked with the number of clients and a seed."""

WORDS = (
    "time person year way day thing man world life hand part child eye woman place work week case point "
    "government company number group problem fact house water room mother area money story month lot right "
    "study book job word business issue side kind head service friend father power hour game line end law "
    "car city name team minute idea body back parent face level office door health art war history party"
).split()
WORD_TOKENS = 1.06
"""Of the bundled model, on the average."""
AROUND = 45
"""Tokens of a conversation besides the words: what is asked, and the template."""


async def clients(target: Target, plan: Plan, clients: int, seed: str) -> Round:
    """Short questions, long answers."""
    each = max(1, plan.least_requests // clients)
    return await at_once(
        target,
        [
            [_story(target, plan.prompt, plan.answer, f"{seed}-{client}-{n}") for n in range(each)]
            for client in range(clients)
        ],
    )


async def long(target: Target, plan: Plan, clients: int, seed: str) -> Round:
    """Long questions, short answers."""
    prompts = [
        _story(target, plan.long_prompt, plan.long_answer, f"{seed}-{client}") for client in range(clients)
    ]
    return await at_once(target, [[prompt] for prompt in prompts])


async def shared(target: Target, plan: Plan, clients: int, seed: str) -> Round:
    """One long system prompt that no side has seen before, and a short question of each client."""
    system = {"role": "system", "content": words(plan.long_prompt, seed)}
    asked = []
    for client in range(clients):
        question = f"Write a long story about {words(4 + AROUND, f'{seed}-{client}')}."
        asked.append([body(target, [system, {"role": "user", "content": question}], plan.long_answer)])
    return await at_once(target, asked)


async def mixed(target: Target, plan: Plan, clients: int, seed: str) -> Round:
    """Short questions and long answers, one after the other, while others send long questions.

    What is told is of the short ones, but for the tokens and the seconds.
    """
    begun = time.perf_counter()

    async def stream(client: str, prompt: int, answer: int) -> list[Answer]:
        found: list[Answer] = []
        async with session(target) as opened:
            for number in count():
                asked = _story(target, prompt, answer, f"{seed}-{client}-{number}")
                found.append(await ask(opened, target, asked))
                if time.perf_counter() - begun > plan.mixed_seconds:
                    break
        return found

    async with asyncio.TaskGroup() as group:
        short = [group.create_task(stream(f"short-{n}", plan.prompt, plan.answer)) for n in range(clients)]
        for n in range(plan.mixed_long):
            group.create_task(stream(f"long-{n}", plan.long_prompt, plan.long_answer))
    answers = [answer for task in short for answer in task.result()]
    return summary(time.perf_counter() - begun, answers)


def words(tokens: int, seed: str) -> str:
    """Random words that take about so many tokens, together with what stands around them."""
    number = max(1, round((tokens - AROUND) / WORD_TOKENS))
    return " ".join(random.Random(seed).choices(WORDS, k=number))


def _story(target: Target, prompt: int, answer: int, seed: str) -> dict[str, object]:
    # The words come first: two prompts share no beginning.
    text = f"{words(prompt, seed)}. Write a very long story in which all these words occur."
    return body(target, [{"role": "user", "content": text}], answer)


LOADS: dict[str, Load] = {"clients": clients, "long": long, "shared": shared, "mixed": mixed}
