"""From one server process to the next: the new one gets the listening socket and the lock of the data folder.

The old one starts it, waits until it says that it is ready, and only then stops taking connections. They are
joined by a pair of sockets, the lifeline: over it the new one says that it is ready, or why it will not be;
when its other end is closed, whoever started the new one is gone, and it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from antiphon import __version__
from antiphon.errors import AntiphonError

ENVIRONMENT = "ANTIPHON_HANDOVER"
"""The environment variable in which a new server finds what is handed to it."""
KILL_SECONDS = 10.0
"""What one that is given up may take for its end."""
END_SECONDS = 30.0
"""What a server may take for its end beyond the drain, before it is killed."""
_NONE = -1
_LONGEST = 1000
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}


class Handed(msgspec.Struct, frozen=True):
    """What a server process has from the one before: file descriptors."""

    listener: int
    lock: int
    lifeline: int = _NONE
    """None where it is the same process as before, which was paused."""
    restarts: int = 0
    """How many restarts have ended before this one."""

    @property
    def is_child(self) -> bool:
        return self.lifeline != _NONE


class Word(msgspec.Struct, frozen=True):
    """What a new server says to the one that started it."""

    version: str = __version__
    problem: str = ""
    """Why it will not be ready; empty: it is."""


class NotReady(Exception):
    """A new server that was to take over will not; its text says why."""


def inherited(environment: MutableMapping[str, str] = os.environ) -> Handed | None:
    """What was handed to this process; None for one that starts afresh. Its own children get none of it."""
    if (text := environment.pop(ENVIRONMENT, None)) is None:
        return None
    handed = msgspec.json.decode(text, type=Handed)
    for descriptor in (handed.listener, handed.lock, handed.lifeline):
        if descriptor != _NONE:
            os.set_inheritable(descriptor, False)
    return handed


def keep_signals() -> None:
    """Let signals wait from now on, for the program that this process runs next."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def send_again(noted: Sequence[int]) -> None:
    """Let those wait, too, that had come."""
    for number in noted:
        signal.pthread_kill(threading.get_ident(), number)


def hear_signals() -> None:
    """Let those come that waited; what there was no handler for yet is lost."""
    for number in _SIGNALS - {signal.SIGTERM, signal.SIGINT}:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def has_terminal() -> bool:
    """Whether this process belongs to a terminal that is there: SIGHUP is also what tells of its end."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def say(handed: Handed | None, problem: Exception | None = None) -> None:
    """Tell whoever started this process that it is ready, or what `problem` keeps it from that."""
    if handed is None or not handed.is_child:
        return
    known = isinstance(problem, AntiphonError)
    text = "" if problem is None else str(problem) if known else f"unexpected {type(problem).__name__}"
    with suppress(OSError):  # nobody is left to hear it
        os.write(handed.lifeline, msgspec.json.encode(Word(problem=text[:_LONGEST])) + b"\n")


def end_with(handed: Handed | None, ending: Callable[[], bool] = lambda: False) -> None:
    """From now on this process ends, as by SIGTERM, once the one that started it is gone.

    Unless it is `ending` already: a second SIGTERM would cut off the requests that it has.
    """
    if handed is not None and handed.is_child:
        given = (handed.lifeline, ending)
        threading.Thread(target=_until_closed, args=given, name="lifeline", daemon=True).start()


def _until_closed(line: int, ending: Callable[[], bool]) -> None:
    with suppress(OSError):
        while os.read(line, 1024):
            continue
    if not ending():
        os.kill(os.getpid(), signal.SIGTERM)


def command() -> list[str]:
    """The command line that started this process, to be run anew: by now it may be of a newer version."""
    program = Path(sys.argv[0]).absolute()
    if program.is_file() and os.access(program, os.X_OK):
        return [str(program), *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


class Successor:
    """A server process that is to take over, and the line to it."""

    def __init__(self, pid: int, line: socket.socket, *, told: bool = False) -> None:
        line.setblocking(False)
        self.pid = pid
        self.line = line
        self.told = told
        """Whether it was told to end."""
        self._rest = b""
        self._end: asyncio.Task[int] | None = None

    async def ready(self, seconds: float) -> Word:
        """What it says once it is ready. Raises `NotReady` if it will not be, or not in time; then it has
        ended."""
        try:
            async with asyncio.timeout(seconds):
                word = await self._word()
        except TimeoutError:
            await self.end()
            raise NotReady(f"The new server was not ready within {seconds:g} s.") from None
        except BaseException:
            await self.end()
            raise
        if word is None:
            code = await self.end()
            raise NotReady(f"The new server ended {ending(code)}: its log tells why.")
        if word.problem:
            await self.end()
            raise NotReady(word.problem)
        return word

    async def ended(self) -> int:
        """Its exit code, once it has ended; negative: the signal that ended it."""
        if self._end is None:
            self._end = asyncio.create_task(self._until_ended(), name=f"server-{self.pid}")
        return await asyncio.shield(self._end)

    @property
    def over(self) -> bool:
        """Whether it has ended: its number may be another process's by now."""
        return self.line.fileno() < 0

    def send(self, number: signal.Signals) -> None:
        self.told |= number == signal.SIGTERM
        if not self.over:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self) -> int:
        """End it now, in any case; its exit code."""
        self.send(signal.SIGTERM)
        return await self.ended_within(KILL_SECONDS)

    async def ended_within(self, seconds: float) -> int:
        """The same as `ended`; after so many seconds it is killed."""
        try:
            async with asyncio.timeout(seconds):
                return await self.ended()
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.ended()

    async def _until_ended(self) -> int:
        while await self._word() is not None:
            continue
        # Its end of the line is closed: it is a moment from its end, if it is not over.
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
            if pid:
                self.line.close()
                return os.waitstatus_to_exitcode(status)
            await asyncio.sleep(0.02)

    async def _word(self) -> Word | None:
        """The next thing that it says; None once it has ended."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._rest:
            try:
                data = await loop.sock_recv(self.line, 4096)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\n")
        return msgspec.json.decode(text, type=Word)


def tell_to_end(servers: Iterable[Successor], *, again: bool = False) -> None:
    """Tell each once, since whoever is told twice ends at once; and `again`, if that is what is wanted."""
    for one in servers:
        if again or not one.told:
            one.send(signal.SIGTERM)


async def see_off(servers: Iterable[Successor], seconds: float) -> None:
    """Return once all have ended: each is told to, and may take its drain of so many seconds."""
    last = list(servers)
    tell_to_end(last)
    await asyncio.gather(*(one.ended_within(seconds + END_SECONDS) for one in last))


def start(command: Sequence[str], listener: int, lock: int) -> Successor:
    """Run a command line that is to take over. Raises `NotReady` if it cannot be run."""
    ours, theirs = socket.socketpair()
    with theirs:
        handed = Handed(listener, lock, theirs.fileno())
        try:
            process = subprocess.Popen(
                command,
                env=os.environ | {ENVIRONMENT: msgspec.json.encode(handed).decode()},
                pass_fds=(listener, lock, theirs.fileno()),
                start_new_session=True,  # Ctrl-C in the terminal is for this process, which passes it on
            )
        except OSError as problem:
            ours.close()
            raise NotReady(f"{command[0]} cannot be run: {problem.strerror}") from None
    successor = Successor(process.pid, ours)
    process.returncode = 0  # it is waited for by its number, over a change of this program too
    return successor


def ending(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
