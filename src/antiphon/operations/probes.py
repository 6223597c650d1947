"""One probe: what is sent, and whether what came is an answer. Never raises for what the server does."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import TypeVar

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from antiphon.status.outcomes import Ended, Objectives, too_late
from antiphon.wire.audio import JsonTranscript
from antiphon.wire.chat import ChatCompletionChunk

QUESTION = "Say hello."
MOST_TOKENS = 8
WORDS = frozenset({"ask", "what", "you", "can", "do", "for", "your", "country"})
"""Said in the clip."""
LEAST_WORDS = 4
"""So many of them a transcript has: small models mishear some."""
CLIP = "probe.ogg"
CLIP_SECONDS = 3.0
MOST_BYTES = 65_536
"""Of an answer; a longer one is none."""
_DATA = "data: "


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How one probe went: `reason` says why it was not good, in a few words that hold no content.

    One that was `refused` for its key, or for a rate, says nothing of the service.
    """

    good: bool
    seconds: float
    reason: str = ""
    refused: bool = False


T = TypeVar("T")


class _Wrong(Exception):
    """Why an answer is none."""


async def chat(session: aiohttp.ClientSession, model: str, objectives: Objectives) -> Found:
    """A streamed answer: chunks of the right form, some text, a reason for its end, the mark of the end."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": MOST_TOKENS,
        "stream": True,
    }

    async def ask(began: float) -> Ended:
        async with session.post("/v1/chat/completions", json=body) as response:
            await _require_answer(response)
            first, text, reason, done = None, "", None, False
            async for event in _events(response):
                if first is None:
                    first = time.monotonic() - began
                done = event == "[DONE]"
                if done:
                    break
                chunk = _decoded(event.encode(), ChatCompletionChunk)
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    reason = choice.finish_reason or reason
        if not done:
            raise _Wrong("the stream ended before its end")
        if not text.strip() or reason is None:
            raise _Wrong("the answer is empty" if reason else "the answer has no reason for its end")
        return _ended(response.status, began, first)

    return await _probed(ask, lambda ended: too_late(ended, "chat", objectives))


async def transcription(session: aiohttp.ClientSession, model: str, objectives: Objectives) -> Found:
    """A transcript as JSON, with the words that are said in a clip that is brought along."""
    clip = await asyncio.to_thread((files("antiphon.operations") / CLIP).read_bytes)

    async def ask(began: float) -> Ended:
        form = aiohttp.FormData()
        for name, value in (("model", model), ("language", "en"), ("response_format", "json")):
            form.add_field(name, value)
        form.add_field("file", clip, filename=CLIP, content_type="audio/ogg")
        async with session.post("/v1/audio/transcriptions", data=form) as response:
            await _require_answer(response)
            transcript = _decoded(await _whole(response), JsonTranscript)
        if len(WORDS & set(re.findall(r"[a-z]+", transcript.text.lower()))) < LEAST_WORDS:
            raise _Wrong("the transcript has not the words that were said")
        return _ended(response.status, began, None)

    return await _probed(ask, lambda ended: too_late(ended, "speech", objectives))


async def _probed(ask: Callable[[float], Awaitable[Ended]], late: Callable[[Ended], bool]) -> Found:
    began = time.monotonic()

    def failed(reason: str, *, refused: bool = False) -> Found:
        return Found(good=False, seconds=time.monotonic() - began, reason=reason, refused=refused)

    try:
        ended = await ask(began)
    except _Refused as problem:
        return failed(str(problem), refused=True)
    except _Wrong as problem:
        return failed(str(problem))
    except (ValueError, HttpProcessingError):  # of aiohttp, for a line without an end
        return failed("the answer is not of its form")
    except TimeoutError:
        return failed("no whole answer came in time")
    except (aiohttp.ClientError, ConnectionError) as problem:
        return failed(f"the server cannot be reached ({type(problem).__name__})")
    if late(ended):
        return failed("the answer came too late")
    return Found(good=True, seconds=ended.seconds)


class _Refused(Exception):
    """Why a request was not taken, which is not the service's fault."""


async def _require_answer(response: aiohttp.ClientResponse) -> None:
    if response.status in (401, 403, 429):
        raise _Refused(f"it was answered {response.status}")
    if response.status != 200:
        raise _Wrong(f"it was answered {response.status}")


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    content = await response.content.read(MOST_BYTES)
    while not response.content.at_eof() and len(content) < MOST_BYTES:
        content += await response.content.read(MOST_BYTES)
    return content


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    read = 0
    async for line in response.content:
        read += len(line)
        if read > MOST_BYTES:
            raise _Wrong("the answer is too long")
        text = line.decode("utf-8", "replace").strip()
        if text.startswith(_DATA):
            yield text.removeprefix(_DATA)


def _decoded(content: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.DecodeError:
        raise _Wrong("the answer is not of its form") from None


def _ended(status: int, began: float, first: float | None) -> Ended:
    return Ended(
        route="",
        status=status,
        complete=True,
        streams=first is not None,
        first=first,
        seconds=time.monotonic() - began,
        sound=CLIP_SECONDS,
    )
