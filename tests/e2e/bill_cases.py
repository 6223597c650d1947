"""Requests whose bill follows from what their clients were handed: whole, streamed, left midway, refused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest
from handed import Speech, streamed_chat, streamed_speech, whole_chat, whole_speech
from recorder import Exchange

from antiphon.values import Usage

CHAT = "smollm2-135m-instruct-2024-11-01"
BASE = "whisper-base-2022-09-21"
TINY = "whisper-tiny.en-2022-09-21"
SEED = 20_231_101
PROMPTS = (
    "Count from one to thirty in words.",
    "List the months of the year.",
    "Say hello to my friend Ann.",
)
ENDLESS = {"0": -100, "2": -100}
"""The chat model cannot say that it is done."""


@dataclass(frozen=True)
class Tenant:
    """A key, and whose it is."""

    organization: str
    project_id: str
    key_id: str
    secret: str


@dataclass(frozen=True)
class Case:
    """A request: how it is sent, and what it used by what its client was handed."""

    tenant: Tenant
    model: str
    send: Callable[[openai.AsyncOpenAI], Awaitable[Any]]
    used: Callable[[Exchange], Usage]


class Plan:
    """Random requests, always the same; `references` are the recordings as the models understand them."""

    def __init__(self, tenants: list[Tenant], prompts: dict[str, int], speeches: dict[Any, Speech]) -> None:
        self._random = random.Random(SEED)
        self._tenants, self._prompts, self._speeches = tenants, prompts, speeches

    def cases(self, long: Path, short: list[Path]) -> list[Case]:
        chats = [
            *(self.chat(n=1) for _ in range(8)),
            *(self.chat(n=2) for _ in range(2)),
            *(self.whole_chat() for _ in range(6)),
            *(self.left_chat(n=1) for _ in range(12)),
            *(self.left_chat(n=2) for _ in range(3)),
            *(self.left_in_time() for _ in range(4)),
            *(self.left_whole_chat() for _ in range(3)),
            *(self.refused() for _ in range(2)),
        ]
        formats = ("json", "text", "srt", "verbose_json", "vtt")
        speeches = [
            *(
                self.speech(model, self._random.choice(short), form)
                for model in (BASE, TINY)
                for form in formats
            ),
            *(self.speech(BASE, path, "json", "translations") for path in short),
            *(self.streamed_speech(model, path) for model in (BASE, TINY) for path in short),
            *(self.left_speech(long, deltas) for deltas in (1, 2, 3, 5)),
        ]
        cases = chats + speeches
        self._random.shuffle(cases)
        return cases

    def chat(self, n: int) -> Case:
        prompt, body = self._streamed(n, max_tokens=self._random.randrange(1, 24))

        async def send(api: openai.AsyncOpenAI) -> None:
            async for _ in await api.chat.completions.create(**body):
                pass

        return self._case(CHAT, send, partial(streamed_chat, prompt_tokens=prompt))

    def left_chat(self, n: int) -> Case:
        """Left after some chunks, of an answer that would have gone on."""
        prompt, body = self._streamed(n, max_tokens=300, logit_bias=ENDLESS)
        chunks = self._random.randrange(0, 20)

        async def send(api: openai.AsyncOpenAI) -> None:
            async with await api.chat.completions.create(**body) as stream:
                for _ in range(chunks):
                    await anext(stream)

        return self._case(CHAT, send, partial(streamed_chat, prompt_tokens=prompt))

    def left_in_time(self) -> Case:
        """Left after a moment, whatever has come by then."""
        prompt, body = self._streamed(1, max_tokens=300, logit_bias=ENDLESS)
        seconds = self._random.uniform(0.01, 1.0)

        async def send(api: openai.AsyncOpenAI) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for _ in await api.chat.completions.create(**body):
                        pass

        return self._case(CHAT, send, partial(streamed_chat, prompt_tokens=prompt))

    def whole_chat(self) -> Case:
        _, body = self._body(max_tokens=self._random.randrange(1, 24), n=self._random.randrange(1, 3))
        return self._case(CHAT, lambda api: api.chat.completions.create(**body), whole_chat)

    def left_whole_chat(self) -> Case:
        """Left long before it would have been answered."""
        _, body = self._body(max_tokens=2000, logit_bias=ENDLESS)

        async def send(api: openai.AsyncOpenAI) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await api.chat.completions.create(**body)

        return self._case(CHAT, send, whole_chat)

    def refused(self) -> Case:
        """Longer than the model's context."""
        _, body = self._body(max_tokens=9000)

        async def send(api: openai.AsyncOpenAI) -> None:
            with pytest.raises(openai.BadRequestError):
                await api.chat.completions.create(**body)

        return self._case(CHAT, send, whole_chat)

    def speech(self, model: str, path: Path, form: str, kind: str = "transcriptions") -> Case:
        async def send(api: openai.AsyncOpenAI) -> None:
            await getattr(api.audio, kind).create(file=path, model=model, response_format=form)

        return self._case(model, send, partial(whole_speech, speech=self._speeches[model, path]))

    def streamed_speech(self, model: str, path: Path) -> Case:
        async def send(api: openai.AsyncOpenAI) -> None:
            async for _ in await api.audio.transcriptions.create(file=path, model=model, stream=True):
                pass

        return self._case(model, send, partial(streamed_speech, speech=self._speeches[model, path]))

    def left_speech(self, path: Path, deltas: int) -> Case:
        async def send(api: openai.AsyncOpenAI) -> None:
            async with await api.audio.transcriptions.create(file=path, model=TINY, stream=True) as stream:
                for _ in range(deltas):
                    await anext(stream)

        return self._case(TINY, send, partial(streamed_speech, speech=self._speeches[TINY, path]))

    def _case(self, model: str, send: Any, used: Any) -> Case:
        return Case(self._random.choice(self._tenants), model, send, used)

    def _body(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        """A prompt's number of tokens, and a request with it."""
        text = self._random.choice(PROMPTS)
        body = {"model": "gpt-3.5-turbo", "messages": messages(text), "temperature": 0, **fields}
        return self._prompts[text], body

    def _streamed(self, n: int, **fields: Any) -> tuple[int, dict[str, Any]]:
        options = {"stream": True, "stream_options": {"include_usage": True}, "logprobs": True}
        return self._body(n=n, **options, **fields)


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
