"""A server of OpenAI's API that transcribes: asked again and again if it is well, and for transcripts."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import BinaryIO

import aiohttp
import msgspec
from msgspec.structs import replace

from antiphon.errors import AntiphonError, EngineFailed, InvalidAudio, TooLarge, UnsupportedParameter
from antiphon.wire.openai import Models, Spoken
from antiphon.workers.speech.sniff import demuxer
from antiphon.workers.speech.values import Job

PROBE_SECONDS = 2.0
_SILENCE = 10.0
_CONNECT_SECONDS = 5.0
_MOST = 64 * 1024 * 1024
"""Bytes of an answer."""
_PATHS = {"transcribe": "audio/transcriptions", "translate": "audio/translations"}
_ENDINGS = {"mov": "m4a", "matroska": "webm"}
"""Of names of files, by container: servers tell formats by them. All others are called as they are."""
_AT_FAULT = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)

log = logging.getLogger(__name__)


class _Refused(Exception):
    """The server says that the request is at fault."""


class Server:
    """`url` as far as the API's version; `model` as it is called there. Redirects are not followed."""

    def __init__(self, url: str, model: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._key = key
        self._problem = "it was not asked yet"
        self._form = "verbose_json"
        """Or `json`, for a server that knows no other."""
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Connections, and a look at it every two seconds, for as long as the block runs."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            headers={"authorization": f"Bearer {self._key}"} if self._key else None,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        async with self._session:
            watching = asyncio.create_task(self._watch(), name="watch")
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.wait({watching})

    def check(self) -> None:
        """Raises `EngineFailed` unless it was well when it was last asked."""
        if self._problem:
            raise EngineFailed("The model's server does not answer.", retry_after=1)

    async def transcribe(self, job: Job, file: BinaryIO) -> Spoken:
        """Raises `InvalidAudio` or `TooLarge` if it says that the recording is at fault,
        `UnsupportedParameter` for what it cannot tell, and `EngineFailed`."""
        form = self._form
        try:
            spoken = await self._sent(job, file, form)
        except _Refused:
            if form == "json":
                raise InvalidAudio("The model's server refuses this recording.") from None
            if job.words:
                # Whether it was the words that it refused shows without them. Others may have theirs.
                await self.transcribe(replace(job, words=False), file)
                raise _no_words() from None
            spoken = await self._plain(job, file)
        if job.words and spoken.words is None:
            raise _no_words()
        return spoken

    async def _plain(self, job: Job, file: BinaryIO) -> Spoken:
        """The text alone, from a server that knows no more, which is remembered."""
        try:
            spoken = await self._sent(job, file, "json")
        except _Refused:
            raise InvalidAudio("The model's server refuses this recording.") from None
        self._form = "json"
        return spoken

    async def _sent(self, job: Job, file: BinaryIO, form: str) -> Spoken:
        assert self._session is not None
        with await asyncio.to_thread(_again, file) as own:
            content = _fields(job, own, self._model, form)
            try:
                answer = await self._asked("POST", _PATHS[job.task], data=content)
            except EngineFailed as problem:
                log.warning("a recording was not transcribed: %s", problem.message)
                raise
        try:
            return msgspec.json.decode(answer, type=Spoken)
        except msgspec.DecodeError:
            raise EngineFailed("The model's server sent something unreadable.", retry_after=1) from None

    async def _watch(self) -> None:
        while True:
            problem = await self._look()
            if problem != self._problem:
                log.warning("the server of '%s': %s", self._model, problem or "it is well")
            self._problem = problem
            await asyncio.sleep(PROBE_SECONDS)

    async def _look(self) -> str:
        """What is wrong with it, in a few words; empty if nothing is."""
        try:
            async with asyncio.timeout(_SILENCE):
                listed = msgspec.json.decode(await self._asked("GET", "models"), type=Models).data
        except TimeoutError:
            return "it is silent"
        except (AntiphonError, _Refused) as problem:
            return str(problem)
        except msgspec.DecodeError:
            return "its list of models is unreadable"
        return "" if any(one.id == self._model for one in listed) else "it does not serve the model"

    async def _asked(self, method: str, path: str, data: aiohttp.FormData | None = None) -> bytes:
        """The body of a 200 answer. Raises `_Refused`, `TooLarge` and `EngineFailed`."""
        assert self._session is not None
        content = bytearray()
        try:
            asked = self._session.request(method, f"{self._url}/{path}", data=data, allow_redirects=False)
            async with asked as response:
                if response.status != HTTPStatus.OK:
                    raise _problem(response.status)
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) > _MOST:
                        raise EngineFailed("The model's server answers too much.")
        except (aiohttp.ClientError, ConnectionError) as problem:
            raise EngineFailed("The model's server broke off.", retry_after=1) from problem
        return bytes(content)


def _problem(status: int) -> Exception:
    """What a status means, in words of our own: an answer may quote the recording."""
    if status in _AT_FAULT:
        return _Refused()
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        text = "The recording is larger than the model's server accepts."
        return TooLarge(text, param="file", code="audio_too_long")
    return EngineFailed(f"The model's server failed with status {status}.", retry_after=1)


def _no_words() -> UnsupportedParameter:
    return UnsupportedParameter(
        "The model's server tells no times of words.", param="timestamp_granularities"
    )


def _again(file: BinaryIO) -> BinaryIO:
    """The same file from its start, to be closed by whoever reads it."""
    own = os.fdopen(os.dup(file.fileno()), "rb")
    own.seek(0)
    return own


def _fields(job: Job, file: BinaryIO, model: str, form: str) -> aiohttp.FormData:
    container = demuxer(file)
    name = f"recording.{_ENDINGS.get(container, container)}"
    content = aiohttp.FormData()
    content.add_field("model", model)
    content.add_field("response_format", form)
    content.add_field("temperature", repr(job.temperature))
    if job.prompt:
        content.add_field("prompt", job.prompt)
    if job.language and job.task == "transcribe":
        content.add_field("language", job.language)
    if form == "verbose_json" and job.task == "transcribe":
        for granularity in ("segment", "word") if job.words else ("segment",):
            content.add_field("timestamp_granularities[]", granularity)
    content.add_field("file", file, filename=name, content_type="application/octet-stream")
    return content
