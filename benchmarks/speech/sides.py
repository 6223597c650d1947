"""What is compared: servers over HTTP, and faster-whisper in a process that is asked through a pipe."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec

from benchmarks.speech.peer import Question, Reply
from benchmarks.speech.values import Answer

ANSWER_SECONDS = 3600.0
STOP_SECONDS = 20.0
LINE_BYTES = 16 * 2**20
"""The longest answer of a peer: an hour's text has some 60 kB."""


class Side(Protocol):
    name: str

    async def ready(self) -> None:
        """Start it unless it runs, and let it transcribe once: first calls pay for what later ones reuse."""

    async def transcribe(self, path: Path, *, stream: bool = False, mixed: bool = False) -> Answer: ...

    async def processes(self) -> list[int]:
        """Whose memory counts; empty when they are not ours to look at."""

    async def close(self) -> None: ...


class Address(msgspec.Struct, frozen=True):
    """A server, and the process whose memory counts (0: none)."""

    url: str
    model: str
    key: str = ""
    process: int = 0


class HttpSide:
    """A server that answers `/v1/audio/transcriptions` as OpenAI's does."""

    def __init__(self, name: str, address: Callable[[], Awaitable[Address]], warm_up: Path) -> None:
        """`address` starts the server, or tells where it runs."""
        self.name = name
        self._find = address
        self._warm_up = warm_up
        self._address: Address | None = None
        self._session: aiohttp.ClientSession | None = None

    async def ready(self) -> None:
        if self._session is not None:
            return
        self._address = await self._find()
        headers = {"Authorization": f"Bearer {self._address.key}"} if self._address.key else {}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)
        await self.transcribe(self._warm_up)

    async def transcribe(self, path: Path, *, stream: bool = False, mixed: bool = False) -> Answer:
        """Mixed languages are the server's own affair: there is no field for them."""
        assert self._session is not None and self._address is not None
        content = await asyncio.to_thread(path.read_bytes)
        form = aiohttp.FormData({"model": self._address.model, "response_format": "json"})
        if stream:
            form.add_field("stream", "true")
        form.add_field("file", content, filename=path.name, content_type="application/octet-stream")
        begun = time.perf_counter()
        url = f"{self._address.url}/audio/transcriptions"
        async with self._session.post(url, data=form) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{self.name}, {path.name}: {answer.status} {await answer.text()}")
            if stream:
                return await _streamed(answer, begun)
            text = str((await answer.json())["text"])
        seconds = time.perf_counter() - begun
        return Answer(text, seconds, seconds)

    async def processes(self) -> list[int]:
        assert self._address is not None
        return [self._address.process] if self._address.process else []

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _streamed(answer: aiohttp.ClientResponse, begun: float) -> Answer:
    first = 0.0
    async for event in _events(answer):
        match event:
            case {"type": "transcript.text.delta", "delta": str(piece)}:
                if piece.strip() and not first:
                    first = time.perf_counter() - begun
            case {"type": "transcript.text.done", "text": str(text)}:
                seconds = time.perf_counter() - begun
                return Answer(text, seconds, first or seconds)
            case {"error": error}:
                raise RuntimeError(f"the stream ended with {error}")
    raise RuntimeError("the stream ended without its last event")


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[object]:
    """The JSON of each server-sent event; lines may be longer than aiohttp's own reader takes."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                yield msgspec.json.decode(line[6:])


class PeerSide:
    """faster-whisper in process, `benchmarks.speech.peer`."""

    def __init__(
        self, name: str, command: Callable[[], Awaitable[list[str]]], warm_up: Path, log: Path
    ) -> None:
        """`command` are the flags of the peer; `log` gets what its libraries print."""
        self.name = name
        self._flags = command
        self._warm_up = warm_up
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._reading: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        return self._reading is not None

    async def ready(self) -> None:
        if self._process is not None:
            return
        flags = await self._flags()
        self._process = await _python(["-m", "benchmarks.speech.peer", *flags], self._log)
        self._reading = asyncio.create_task(self._read())
        await asyncio.gather(*(self.transcribe(self._warm_up) for _ in range(2)))

    async def transcribe(self, path: Path, *, stream: bool = False, mixed: bool = False) -> Answer:
        """Segments come as they are found: streamed or not is the same."""
        assert self._process is not None and self._process.stdin is not None
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        self._process.stdin.write(msgspec.json.encode(Question(number, str(path), mixed)) + b"\n")
        await self._process.stdin.drain()
        answer = await future
        return Answer(answer.text, time.perf_counter() - begun, answer.first)

    async def processes(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid]

    async def close(self) -> None:
        if self._process is not None:
            await _end(self._process)
            self._process = None
        if self._reading is not None:
            await self._reading
            self._reading = None

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while line := await self._process.stdout.readline():
            reply = msgspec.json.decode(line, type=Reply)
            future = self._waiting.pop(reply.number)
            if future.cancelled():  # whoever asked was cut off
                continue
            if reply.answer is not None:
                future.set_result(reply.answer)
            else:
                future.set_exception(RuntimeError(f"{self.name}: {reply.error}"))
        for future in self._waiting.values():
            if not future.cancelled():
                future.set_exception(RuntimeError(f"{self.name} ended: {self._log}"))
        self._waiting.clear()


class Minimal:
    """The minimal server, started on a free port: an `address` for `HttpSide`."""

    def __init__(self, command: Callable[[], Awaitable[list[str]]], port: int, log: Path) -> None:
        self._flags = command
        self._port = port
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def address(self) -> Address:
        flags = [*await self._flags(), "--port", str(self._port)]
        self._process = await _python(["-m", "benchmarks.speech.minimal", *flags], self._log)
        root = f"http://127.0.0.1:{self._port}"
        async with aiohttp.ClientSession() as session:
            while not await _healthy(session, f"{root}/health"):
                if self._process.returncode is not None:
                    raise RuntimeError(f"the minimal server ended: {self._log}")
                await asyncio.sleep(0.1)
        return Address(f"{root}/v1", "whisper-1", process=self._process.pid)

    async def close(self) -> None:
        if self._process is not None:
            await _end(self._process)
            self._process = None


async def _healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:  # not listening yet
        return False


async def _python(arguments: list[str], log: Path) -> asyncio.subprocess.Process:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as printed:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=printed,
            limit=LINE_BYTES,
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
