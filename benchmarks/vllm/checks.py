"""What an answer through Antiphon has to be besides fast: whose prompt is kept, who leaves, of which form."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import jsonschema

from benchmarks.chat.client import REQUEST_SECONDS, Target, ask, body, session
from benchmarks.chat.loads import WORDS, words
from benchmarks.vllm.values import Forms, Kept, Left

SYSTEM_TOKENS = 600
LONG = 1500
"""Tokens of an answer that nobody waits for."""
PLACE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "size": {"enum": ["small", "large"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
    },
    "required": ["name", "size", "days"],
    "additionalProperties": False,
}


async def kept(target: Target) -> Kept:
    system = {"role": "system", "content": words(SYSTEM_TOKENS, "kept")}
    found = []
    async with session(target) as opened:
        for question in ("Good morning!", "What is a house?"):
            asked = body(target, [system, {"role": "user", "content": question}], 4)
            found.append((await whole(opened, target, asked))["usage"])
    first, second = (used["prompt_tokens_details"]["cached_tokens"] for used in found)
    return Kept(prompt=found[1]["prompt_tokens"], first=first, second=second)


async def left(target: Target, clients: int) -> Left:
    """All places are taken by long answers; once each has begun, all clients leave at once."""
    async with session(target) as opened:
        idle = await ask(opened, target, _story(target, "idle", 8))
        begun = [asyncio.Event() for _ in range(clients)]
        tasks = [
            asyncio.create_task(_begin(opened, target, _story(target, f"left-{n}", LONG), begun[n]))
            for n in range(clients)
        ]
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await asyncio.gather(*(event.wait() for event in begun))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        after = await ask(opened, target, _story(target, "after", 8))
    return Left(clients=clients, idle=idle.times[0], after=after.times[0])


async def forms(target: Target, count: int) -> Forms:
    function = {"name": "visit", "description": "Visit a place.", "parameters": PLACE}
    asks: dict[str, dict[str, Any]] = {
        "schemas": {
            "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE}}
        },
        "calls": {"tools": [{"type": "function", "function": function}], "tool_choice": "required"},
    }
    fitting = dict.fromkeys(asks, 0)
    async with session(target) as opened:
        for number in range(count):
            question = {"role": "user", "content": f"Name a place that has to do with {WORDS[number]}."}
            for kind, form in asks.items():
                answer = await whole(opened, target, body(target, [question], 100) | form)
                fitting[kind] += fits(answer["choices"][0]["message"])
    return Forms(asked=count, **fitting)


def fits(message: dict[str, Any]) -> bool:
    """Whether it is of the form: the arguments of its first call, or else its text."""
    calls = message.get("tool_calls") or ()
    text = calls[0]["function"]["arguments"] if calls else message["content"]
    try:
        jsonschema.validate(json.loads(text or ""), PLACE)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


async def whole(opened: aiohttp.ClientSession, target: Target, asked: dict[str, Any]) -> dict[str, Any]:
    """An answer that is not streamed. Raises `RuntimeError` unless there is one."""
    told = {name: value for name, value in asked.items() if name != "stream_options"} | {"stream": False}
    async with opened.post(f"{target.url}/chat/completions", json=told) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{target.url} answered {answer.status}: {await answer.text()}")
        found: dict[str, Any] = await answer.json()
        return found


async def _begin(
    opened: aiohttp.ClientSession, target: Target, asked: dict[str, Any], begun: asyncio.Event
) -> None:
    """Read an answer, and tell when it has begun, until it is left."""
    async with opened.post(f"{target.url}/chat/completions", json=asked) as answer:
        async for line in answer.content:
            if b'"content":"' in line and b'"content":""' not in line:
                begun.set()


def _story(target: Target, seed: str, most: int) -> dict[str, Any]:
    text = f"{words(100, seed)}. Write a very long story in which all these words occur."
    return body(target, [{"role": "user", "content": text}], most)
