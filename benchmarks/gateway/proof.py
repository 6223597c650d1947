"""Whether a side really hands through what the upstream said: asked once, before it is measured."""

from __future__ import annotations

import aiohttp
import msgspec

from benchmarks.gateway.client import Failed
from benchmarks.gateway.measure import Target
from benchmarks.gateway.stub import AT_ONCE, MODELS, text

SECONDS = 30.0


class Message(msgspec.Struct, frozen=True):
    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    message: Message = Message()
    delta: Message = Message()


class Answer(msgspec.Struct, frozen=True):
    choices: list[Choice]


async def prove(target: Target) -> None:
    """Raises `Failed` if an answer is not what the upstream says, or if no key is asked for."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        for stream in (False, True):
            status, body = await _ask(session, target, target.key, stream)
            said = streamed(body) if stream and status == 200 else body
            if status != 200 or text(AT_ONCE) not in said:
                raise Failed(f"{'a stream' if stream else 'an answer'} with {status}: {body[:300]}")
        if target.processes and (await _ask(session, target, "sk-wrong", stream=False))[0] == 200:
            raise Failed("a wrong key was let in")


async def _ask(session: aiohttp.ClientSession, target: Target, key: str, stream: bool) -> tuple[int, str]:
    host, port = target.address
    body = {
        "model": MODELS[0],
        "messages": [{"role": "user", "content": "Hello."}],
        "max_tokens": AT_ONCE,
        "stream": stream,
    }
    headers = {"authorization": f"Bearer {key}"}
    try:
        async with session.post(
            f"http://{host}:{port}/v1/chat/completions", json=body, headers=headers
        ) as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError as problem:
        raise Failed(f"no answer: {problem}") from problem


def streamed(body: str) -> str:
    """The text of an event stream."""
    events = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
    answers = [msgspec.json.decode(event, type=Answer) for event in events]
    return "".join(choice.delta.content or "" for answer in answers for choice in answer.choices)
