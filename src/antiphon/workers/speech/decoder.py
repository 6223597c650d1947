"""The worker's side of decoding: recordings as they come, 16 kHz mono, from processes that may break.

A child that nobody reads stands still: what is decoded and not yet read is what fits a socket, some seconds.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import AntiphonError, EngineFailed, InvalidAudio, Unavailable
from antiphon.workers.speech.child import READY, Job
from antiphon.workers.speech.decode import PRIMING
from antiphon.workers.speech.frames import Broken, Frame, Frames, Kind, number
from antiphon.workers.speech.refusals import WRONG_LENGTH, Refusal, error, too_long
from antiphon.workers.speech.sniff import UNREADABLE
from antiphon.workers.speech.values import RATE

START_SECONDS = 60.0
"""Longest wait for the warm process: on a busy machine its imports take seconds."""
BEGIN_SECONDS = 10.0
"""Longest wait for the warm process to take up work, a matter of milliseconds: else it is frozen."""
STUCK_SECONDS = 60.0
"""Longest silence of a child that is being read; one that works speaks every second."""
_CHUNK = 64 * 1024
_BUFFER = 256 * 1024
_SLACK_SECONDS, _SLACK_PART = 1.0, 0.02
"""How much more sound than a scan found is no lie: what codecs add at both ends, clocks that differ."""


class Decoders:
    """Decoding for the whole process: `at_once` children at most, each of some 10 MiB.

    Everything is to be called from one event loop.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._parent: _Parent | None = None
        self._renewal: asyncio.Task[_Parent] | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the warm process. Raises `EngineFailed` if it does not come up."""
        await self._living()

    async def close(self) -> None:
        """End every child. Recordings that are still open fail."""
        self._closed = True
        if self._renewal is not None:
            with suppress(EngineFailed):
                await self._renewal
        if self._parent is not None:
            await self._parent.close()

    async def scan(self, file: BinaryIO, limit: float) -> float:
        """Seconds of sound, told by the packets without decoding them: fast, and what a file may lie about.

        `limit` is the longest recording accepted, in seconds. Raises `InvalidAudio`, `AudioTooShort`,
        `TooLarge`, `EngineFailed`, and `Unavailable` when too many are at it.
        """
        async with self._answered(file, Job(measure=True, limit=limit)) as answer:
            while True:
                frame = await answer.frame()
                if frame.kind is Kind.DONE:
                    return _plausible(frame, limit)
                if frame.kind is not Kind.ALIVE:
                    raise InvalidAudio(UNREADABLE)

    @asynccontextmanager
    async def open(self, file: BinaryIO, limit: float, stated: float | None = None) -> AsyncIterator[Sound]:
        """A recording's sound. Leaving the block ends its decoding at once.

        `stated` are the seconds that `scan` told; a recording that turns out to be longer is refused. `file`
        has a descriptor; it may be read and closed elsewhere meanwhile. Raises what `scan` raises.
        """
        async with self._answered(file, Job(measure=False, limit=limit)) as answer:
            yield Sound(answer, limit, math.inf if stated is None else stated)

    @asynccontextmanager
    async def _answered(self, file: BinaryIO, job: Job) -> AsyncIterator[_Answer]:
        if self._free <= 0:
            raise Unavailable("The speech engine is busy.", retry_after=1)
        self._free -= 1
        try:
            answer = await self._begin(await asyncio.to_thread(_descriptor, file), job)
            try:
                yield answer
            finally:
                answer.close()
        finally:
            self._free += 1

    async def _begin(self, file: int, job: Job) -> _Answer:
        """A child at work; tried twice: since it was last used, the warm process may have died or frozen."""
        for _ in range(2):
            parent = await self._living()
            answer = await parent.begin(file, job)
            begun = False
            try:
                begun = await answer.begun()
            finally:
                if not begun:
                    answer.close()
            if begun:
                return answer
        raise EngineFailed("The speech engine cannot decode recordings.")

    async def _living(self) -> _Parent:
        if self._closed:
            raise EngineFailed("The speech engine is shutting down.")
        if self._parent is not None and self._parent.alive():
            return self._parent
        if self._renewal is None:
            # A task of its own: whoever waits for it may leave, and others may join.
            self._renewal = asyncio.create_task(self._renewed(), name="decoders")
        return await asyncio.shield(self._renewal)

    async def _renewed(self) -> _Parent:
        try:
            if self._parent is not None:
                await self._parent.close()
            self._parent = None
            self._parent = await _Parent.start()
            return self._parent
        finally:
            self._renewal = None


class Sound:
    """A recording being decoded."""

    def __init__(self, answer: _Answer, limit: float, stated: float) -> None:
        self._answer = answer
        self._limit = limit
        self._most = stated * (1 + _SLACK_PART) + _SLACK_SECONDS
        self._count = 0
        self._ended = False

    @property
    def seconds(self) -> float:
        """How much has been read; the length of the recording once `read` was empty."""
        return self._count / RATE

    async def read(self) -> NDArray[np.int16]:
        """The next samples, at most a second of them; empty at the end. By one task at a time.

        Raises what `Decoders.scan` raises. A call that was cancelled loses nothing.
        """
        while not self._ended:
            frame = await self._answer.frame()
            if frame.kind is Kind.SAMPLES:
                return self._taken(frame)
            self._ended = frame.kind is Kind.DONE
        return np.empty(0, np.int16)

    def _taken(self, frame: Frame) -> NDArray[np.int16]:
        if not frame.content or len(frame.content) % 2:
            raise InvalidAudio(UNREADABLE)
        samples = np.frombuffer(frame.content, np.int16)
        self._count += len(samples)
        if self.seconds > self._limit + PRIMING:
            raise too_long(self._limit)
        if self.seconds > self._most:
            raise InvalidAudio(WRONG_LENGTH)
        return samples


class _Answer:
    """What one child says. It ends when this is closed."""

    def __init__(self, parent: _Parent, ours: socket.socket, note: socket.socket, limit: float) -> None:
        self._parent = parent
        self._ours = ours
        self._note = note
        self._limit = limit
        self._frames = Frames()

    async def begun(self) -> bool:
        """Whether a child has taken up the work. A warm process that is frozen is ended."""
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                return await self._next() is not None
        except TimeoutError:
            await self._parent.close()
            return False

    async def frame(self) -> Frame:
        """The next message. Raises what a refusal stands for, and what the end of a child means."""
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                frame = await self._next()
        except TimeoutError:
            raise _stopped() from None
        except Broken:
            raise InvalidAudio(UNREADABLE) from None
        if frame is None:
            raise self._ended()
        if frame.kind is Kind.REFUSED:
            raise error(_refusal(frame), self._limit)
        return frame

    async def _next(self) -> Frame | None:
        while (frame := self._frames.take()) is None:
            data = await _received(self._ours, _CHUNK)
            if not data:
                return None
            self._frames.feed(data)
        return frame

    def _ended(self) -> AntiphonError:
        """What the end of a child means: what nobody explains, or SIGKILL does, is not the file's fault."""
        try:
            note = self._note.recv(1)
        except OSError:
            note = b""
        return _stopped() if note in (b"", bytes([signal.SIGKILL])) else InvalidAudio(UNREADABLE)

    def close(self) -> None:
        self._ours.close()
        self._note.close()


class _Parent:
    """The warm process, and the socket by which it is given work."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls) -> _Parent:
        control, theirs = socket.socketpair()
        with theirs:
            control.setblocking(False)
            # One thread is all that may be there when a process forks, and all that it needs.
            alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "antiphon.workers.speech.child",
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=os.environ | alone,
                )  # fmt: skip
            except OSError:
                control.close()
                raise EngineFailed("The speech engine cannot start its decoder.") from None
        parent = cls(process, control)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                if await _received(control, len(READY)) == READY:
                    return parent
        await parent.close()
        raise EngineFailed("The speech engine's decoder does not start.")

    def alive(self) -> bool:
        try:
            return self._control.fileno() >= 0 and self._control.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def begin(self, file: int, job: Job) -> _Answer:
        """Have a child forked for a file. Raises `EngineFailed` if the warm process takes no more work."""
        ours, theirs = socket.socketpair()
        note, told = socket.socketpair()
        answer = _Answer(self, ours, note, job.limit)
        try:
            with theirs, told:
                ours.setblocking(False)
                note.setblocking(False)
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                await self._send(job.pack(), [file, theirs.fileno(), told.fileno()])
        except BaseException:
            answer.close()
            raise
        return answer

    async def _send(self, data: bytes, descriptors: list[int]) -> None:
        async with self._turn:
            try:
                # If it has died, that is told by the missing answer.
                with suppress(ConnectionError):
                    async with asyncio.timeout(BEGIN_SECONDS):
                        await _sent(self._control, data, descriptors)
            except TimeoutError:
                await self.close()
                raise EngineFailed("The speech engine does not decode.") from None

    async def close(self) -> None:
        """End it and its children."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        self._control.close()


def _stopped() -> EngineFailed:
    return EngineFailed("The speech engine stopped decoding.", retry_after=1)


def _descriptor(file: BinaryIO) -> int:
    """A file as the kernel knows it, complete. A small upload moves to the disk for this, at most 1 MiB."""
    descriptor = file.fileno()
    file.flush()
    return descriptor


def _plausible(frame: Frame, limit: float) -> float:
    try:
        seconds = number(frame.content)
    except Broken:
        raise InvalidAudio(UNREADABLE) from None
    if not 0 < seconds <= limit:
        raise InvalidAudio(UNREADABLE)
    return seconds


def _refusal(frame: Frame) -> Refusal:
    try:
        return Refusal(int.from_bytes(frame.content))
    except ValueError:
        return Refusal.UNREADABLE


async def _received(source: socket.socket, size: int) -> bytes:
    """What has come, at most `size` bytes; nothing at the end. Nothing is lost when this is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await _ready(source, loop.add_reader, loop.remove_reader)
        try:
            return source.recv(size)
        except BlockingIOError:
            continue
        except OSError:
            return b""


async def _sent(target: socket.socket, data: bytes, descriptors: list[int]) -> None:
    while True:
        try:
            socket.send_fds(target, [data], descriptors)
            return
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            await _ready(target, loop.add_writer, loop.remove_writer)


async def _ready(what: socket.socket, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    """Wait until a socket can be read or written, as `add` and `remove` of the loop say."""
    descriptor, now = what.fileno(), asyncio.get_running_loop().create_future()
    add(descriptor, _done, now)
    try:
        await now
    finally:
        remove(descriptor)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
