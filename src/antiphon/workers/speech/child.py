"""`python -m antiphon.workers.speech.child`: a warm process that forks one confined child for each file.

Decoders of hostile files run where a crash, a loop or a hunger for memory costs one recording: in a process
of its own that opens no further file or socket, writes to no file, and holds no more than a bounded memory.
These are resource limits, not a sandbox: whoever takes a child over still runs as the worker's user, may
signal what else does, and as root may lift the limits.
Loading FFmpeg takes longer than decoding a short file, so that is done once, here, and children are forked.

Standard input is a socket to the worker. Each message on it is a `Job` with three file descriptors: the file,
a socket for `frames`, and one for a note of how the child ended: one byte, the signal, or 0 if it exited.
Closing the first socket ends the job; closing standard input ends everything.
"""

from __future__ import annotations

import gc
import io
import os
import selectors
import signal
import socket
import struct
import time
import traceback
from contextlib import closing, suppress
from types import FrameType
from typing import BinaryIO, NamedTuple, NoReturn, cast

import msgspec

from antiphon.workers.speech.confine import confine, leave_the_network
from antiphon.workers.speech.decode import samples, scan
from antiphon.workers.speech.frames import Kind, pack, pack_number
from antiphon.workers.speech.refusals import refusal
from antiphon.workers.speech.values import RATE

READY = b"r"
"""What standard input's other end reads once, when jobs may come."""
_JOB = struct.Struct("<Bd")
_PERIOD = 1.0


class Job(msgspec.Struct, frozen=True):
    """What is asked for one file: its samples, or only how long they would be; the longest accepted, in s."""

    measure: bool
    limit: float

    def pack(self) -> bytes:
        return _JOB.pack(self.measure, self.limit)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        # Both reach the whole group of the worker, which then finishes what is under way.
        signal.signal(number, signal.SIG_IGN)
    _warm_up()
    leave_the_network()
    with socket.socket(fileno=os.dup(0)) as control:
        control.setblocking(True)
        control.sendall(READY)
        _Parent(control).run()


class _Child(NamedTuple):
    """What is kept of a child until it is buried: so that no process id is ever taken for another."""

    answer: socket.socket
    note: socket.socket

    def close(self) -> None:
        self.answer.close()
        self.note.close()


class _Parent:
    """Forks a child for each job, ends those whose client has gone, and buries them. One thread."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}
        """By process id."""
        self._wake, self._waker = os.pipe()
        for end in (self._wake, self._waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def run(self) -> None:
        """Until the worker has gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._take():
                        self._end()
                        return
                elif key.fileobj == self._wake:
                    self._bury()
                else:
                    self._hang_up(key.data)

    def _take(self) -> bool:
        """Start the next job; False if there will be none."""
        try:
            data, given, _, _ = socket.recv_fds(self._control, _JOB.size, 3)
        except OSError:
            return False
        if len(given) == 3 and len(data) == _JOB.size:
            child = _Child(socket.socket(fileno=given[1]), socket.socket(fileno=given[2]))
            try:
                self._fork(data, given[0], child)
            except OSError:
                child.close()  # The worker sees a child that never began.
            os.close(given[0])
        else:
            for descriptor in given:
                os.close(descriptor)
        return bool(data)

    def _fork(self, data: bytes, file: int, child: _Child) -> None:
        measure, limit = _JOB.unpack(data)
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            try:
                self._let_go()
                child.note.close()
                confine(limit, parent)
                _decode(Job(bool(measure), limit), file, _Telling(child.answer, parent))
            finally:
                os._exit(1)
        self._children[pid] = child
        self._selector.register(child.answer, selectors.EVENT_READ, pid)

    def _let_go(self) -> None:
        """In a child: close what is not its own, above all the sockets of other children."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._control.close()
        os.close(self._wake)
        os.close(self._waker)
        for other in self._children.values():
            other.close()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)

    def _hang_up(self, pid: int) -> None:
        """Nothing is ever sent to a child: its socket can be read because the other end was closed."""
        if pid in self._children:  # Not buried since `select`.
            self._selector.unregister(self._children[pid].answer)
            os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == pid:
                child = self._children.pop(pid)
                with suppress(KeyError):
                    self._selector.unregister(child.answer)
                with suppress(OSError):  # Whoever asked may have gone.
                    child.note.send(bytes([os.WTERMSIG(status)]))
                child.close()

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler, so that the signal wakes `select`."""


def _decode(job: Job, file: int, tell: _Telling) -> NoReturn:
    """In a child: answer one job, then exit."""
    try:
        tell(Kind.ALIVE)
        upload = cast(BinaryIO, Upload(file))
        if job.measure:
            seconds = scan(upload, job.limit, tell.step)
        else:
            seconds = _send(upload, job.limit, tell)
        tell(Kind.DONE, pack_number(seconds))
    except ConnectionError:
        os._exit(0)  # Nobody listens.
    except BaseException as problem:
        kind = refusal(problem)
        if not kind:
            _complain(problem)
        with suppress(OSError):
            tell(Kind.REFUSED, bytes([kind]))
    os._exit(0)


def _send(upload: BinaryIO, limit: float, tell: _Telling) -> float:
    count = 0
    with closing(samples(upload, limit, tell.step)) as pieces:
        for piece in pieces:
            tell(Kind.SAMPLES, piece.tobytes())
            count += len(piece)
    return count / RATE


class _Telling:
    """The way to the worker. It blocks while the worker does not read, which is what holds decoding back."""

    def __init__(self, answer: socket.socket, parent: int) -> None:
        self._answer = answer
        self._parent = parent
        self._told = time.monotonic()

    def __call__(self, kind: Kind, content: bytes = b"") -> None:
        self._answer.sendall(pack(kind, content))
        self._told = time.monotonic()

    def step(self) -> None:
        """Say now and then that work moves on, and notice that the warm process has gone."""
        if time.monotonic() - self._told >= _PERIOD:
            if os.getppid() != self._parent:
                raise BrokenPipeError
            self(Kind.ALIVE)


class Upload:
    """A file by its descriptor, with a position of its own: the worker's handle stays where it is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._at = 0

    def read(self, size: int) -> bytes:
        data = os.pread(self._descriptor, size, self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the file")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at


def _complain(problem: BaseException) -> None:
    """Our own bugs are logged by place, never by text."""
    with suppress(OSError):
        places = "".join(traceback.format_tb(problem.__traceback__))
        os.write(2, f"ERROR {__name__}: {type(problem).__name__} at\n{places}".encode())


def _warm_up() -> None:
    """Load, by decoding a tenth of a second, whatever loads itself late: a child could not."""
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    pcm = bytes(RATE // 5)
    wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", len(pcm)) + pcm
    scan(io.BytesIO(wav), 1, lambda: None)
    # Shared with the children for as long as nothing counts references anew.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
