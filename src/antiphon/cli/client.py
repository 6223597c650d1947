"""The HTTP client of the commands that talk to a running server: models, streamed chat, uploads."""

from __future__ import annotations

import io
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.http_exceptions import LineTooLong
from prometheus_client.parser import text_string_to_metric_families

from antiphon.api.retention import HEADER as RETENTION
from antiphon.api.retention import ZERO
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.transcript import Transcribed
from antiphon.wire.models import Model, ModelList

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 600.0
"""Longest silence of the server; a recording may have to wait for its turn, or be silent for long."""
FRAME_BYTES = 1 << 20
ANSWER_BYTES = 64 << 20
ERROR_BYTES = 1 << 16
MODELS_BYTES = 1 << 24
METRICS_BYTES = 1 << 24
SLOTS = "antiphon_engine_slots"


class _Error(msgspec.Struct):
    message: str | None = None


class Function(msgspec.Struct):
    """A piece of a call: its name comes once, its arguments in pieces."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    index: int = 0
    function: Function = msgspec.field(default_factory=Function)


class Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct):
    cached_tokens: int = 0


class Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails = msgspec.field(default_factory=PromptDetails)


class Chunk(msgspec.Struct):
    """As much of a chunk of a streamed answer as the commands read."""

    choices: list[Choice] = []
    usage: Usage | None = None


class _Frame(Chunk):
    error: _Error | None = None


class _Rendered(msgspec.Struct):
    token_count: int


class Busy(CommandFailed):
    """A refusal by a server that says when to come back: in `wait` seconds."""

    def __init__(self, message: str, *, fix: str, exit_code: ExitCode, wait: float) -> None:
        super().__init__(message, fix=fix, exit_code=exit_code)
        self.wait = wait


class Client:
    """One server and one key. Every failure is a `CommandFailed` with the server's own message."""

    def __init__(self, base_url: str, key: str, *, kept: bool = True) -> None:
        """`base_url` with the version in it, for instance `http://127.0.0.1:8000/v1`.

        Unless it may be `kept`, the server is told to keep nothing of what it is asked, and every answer has
        to say that it does not: ask for `models` first, which tells it nothing.
        """
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {key}"} | ({} if kept else {RETENTION: ZERO})
        self._kept = kept

    async def models(self) -> list[Model]:
        """The models that the server lists."""
        async with self._send("GET", "/models") as response:
            content = await _read(response, MODELS_BYTES)
        try:
            return msgspec.json.decode(content, type=ModelList).data
        except msgspec.MsgspecError:
            raise CommandFailed("the server sent something that is not a list of models") from None

    async def chat(self, body: Mapping[str, Any]) -> AsyncGenerator[str, None]:
        """Ask for a chat completion; its text in pieces, as they come. Closing the iterator cancels."""
        async with aclosing(self.chunks(body)) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield choice.delta.content

    async def chunks(self, body: Mapping[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Ask for a chat completion; its chunks, as they come. Closing the iterator cancels."""
        async with self._send("POST", "/chat/completions", json={**body, "stream": True}) as response:
            async with aclosing(_events(response)) as events:
                async for data in events:
                    yield _chunk(data)

    async def token_count(self, body: Mapping[str, Any]) -> int:
        """How many tokens the model would read of a conversation."""
        async with self._send("POST", "/chat/completions/render", json=body) as response:
            content = await _read(response, ANSWER_BYTES)
        try:
            return msgspec.json.decode(content, type=_Rendered).token_count
        except msgspec.MsgspecError:
            raise CommandFailed("the server sent something that is not a rendered prompt") from None

    async def slots(self, deployment: str) -> dict[str, int]:
        """How many requests the ready engines of a deployment serve at once, as the gateway process tells
        that answered, by its name; nothing if it knows of none. Needs the key of an operator."""
        async with self._send("GET", "/metrics", base=self._base_url.removesuffix("/v1")) as response:
            text = (await _read(response, METRICS_BYTES)).decode(errors="replace")
        try:
            samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        except ValueError:
            raise CommandFailed("the server sent something that is not metrics") from None
        return {
            sample.labels.get("process", ""): int(sample.value)
            for sample in samples
            if sample.name == SLOTS and sample.labels.get("snapshot") == deployment
        }

    async def transcribe(
        self,
        path: Path,
        fields: Sequence[tuple[str, str]],
        *,
        translate: bool,
        sent: Callable[[int], None],
        heard: Callable[[float, float | None], None],
    ) -> Transcribed:
        """Upload a recording; its transcript, which is streamed.

        `sent` gets the bytes read so far, in another thread; `heard` the seconds of sound transcribed so
        far, and those of the whole recording if the server says so.
        """
        with _Counted(path, sent) as file:
            form = aiohttp.FormData()
            for name, value in (*fields, ("response_format", "verbose_json"), ("stream", "true")):
                form.add_field(name, value)
            form.add_field("file", file, filename=path.name, content_type="application/octet-stream")
            task = "translations" if translate else "transcriptions"
            async with self._send("POST", f"/audio/{task}", data=form) as response:
                transcript, total = Transcribed(), _audio_seconds(response)
                async with aclosing(_events(response)) as events:
                    async for data in events:
                        transcript.take(data)
                        heard(transcript.seconds, total)
        if not transcript.whole:
            raise CommandFailed("the server broke off before the end of the transcript")
        return transcript

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, *, base: str = "", **content: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(
                    headers=self._headers, timeout=timeout, read_bufsize=FRAME_BYTES
                ) as session,
                # A redirect would carry the key to another server.
                session.request(
                    method, (base or self._base_url) + path, allow_redirects=False, **content
                ) as response,
            ):
                if response.status != 200:
                    raise await _refusal(response)
                if not self._kept and response.headers.get(RETENTION) != ZERO:
                    raise CommandFailed(
                        "the server does not say that it keeps nothing of what it is asked",
                        fix="upgrade it, or name another with --base-url",
                        exit_code=ExitCode.REFUSED,
                    )
                yield response
        except (aiohttp.ClientError, LineTooLong, TimeoutError) as problem:
            raise self._meaning(problem) from problem

    def _meaning(self, problem: aiohttp.ClientError | LineTooLong | TimeoutError) -> CommandFailed:
        match problem:
            case aiohttp.InvalidURL():
                return CommandFailed(
                    f"'{self._base_url}' is not an address",
                    fix="give --base-url like http://127.0.0.1:8000/v1",
                    exit_code=ExitCode.USAGE,
                )
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                return CommandFailed(
                    f"no server answers at {self._base_url}",
                    fix="start it with `antiphon serve`, or give --base-url",
                    exit_code=ExitCode.UNREACHABLE,
                )
            case LineTooLong():
                return CommandFailed("the server sent a line without an end")
            case TimeoutError():
                return CommandFailed(f"the server was silent for {SILENCE_SECONDS:.0f} seconds")
            case _:
                return CommandFailed("the server broke off the connection")


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The `data:` of each event of a stream, up to its `[DONE]`; one that ends before is a failure."""
    received = 0
    async for line in response.content:
        received = _within(received + len(line), ANSWER_BYTES)
        if not line.startswith(b"data:"):
            continue
        data = line.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return
        yield data
    raise CommandFailed("the server broke off before the end of the answer")


def _audio_seconds(response: aiohttp.ClientResponse) -> float | None:
    """The length of the recording as the server read it."""
    try:
        seconds = float(response.headers.get("antiphon-audio-seconds", ""))
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _chunk(data: bytes) -> Chunk:
    try:
        frame = msgspec.json.decode(data, type=_Frame)
    except msgspec.MsgspecError:
        raise CommandFailed("the server sent something that is not a chat answer") from None
    if frame.error is not None:
        raise CommandFailed(frame.error.message or "the server broke off the answer")
    return frame


async def _refusal(response: aiohttp.ClientResponse) -> CommandFailed:
    """What the server said instead of an answer."""
    try:
        frame = msgspec.json.decode(await _read(response, ERROR_BYTES), type=_Frame)
    except msgspec.MsgspecError:
        frame = _Frame()
    said = frame.error.message if frame.error else None
    fix = ""
    if response.status == 401:
        fix = "make a key with `antiphon keys create`, then set OPENAI_API_KEY or give --key"
    elif wait := response.headers.get("Retry-After"):
        fix = f"try again in {wait} s"
    refused = 300 <= response.status < 500 or response.status == 503
    exit_code = ExitCode.REFUSED if refused else ExitCode.FAILED
    message = said or f"the server answered with HTTP status {response.status}"
    if response.status in (429, 503) and (seconds := _wait(response)) is not None:
        return Busy(message, fix=fix, exit_code=exit_code, wait=seconds)
    return CommandFailed(message, fix=fix, exit_code=exit_code)


def _wait(response: aiohttp.ClientResponse) -> float | None:
    """Seconds until the server wants to be asked again; None if it does not say, or says a date."""
    for name, unit in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        if (said := response.headers.get(name, "")).isascii() and said.isdecimal():
            return int(said[:12]) * unit
    return None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        _within(len(body), limit)
    return bytes(body)


def _within(received: int, limit: int) -> int:
    if received > limit:
        raise CommandFailed(f"the server sent more than {limit} bytes")
    return received


class _Counted(io.BufferedReader):
    """A file that says how far it has been read."""

    def __init__(self, path: Path, progress: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        self._progress(self.tell())
        return chunk
