"""The warm process, spoken to as the worker does, and as it never would."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sounds
from antiphon.workers.speech.child import READY, Job, Upload
from antiphon.workers.speech.frames import Frame, Frames, Kind, number
from antiphon.workers.speech.refusals import Refusal


@pytest.fixture
def warm() -> Iterator[socket.socket]:
    """A warm process's socket. It ends, and well, when that is closed."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "antiphon.workers.speech.child"]
    with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE) as process, ours:
        theirs.close()
        ours.settimeout(30)
        assert ours.recv(10) == READY
        yield ours
        ours.close()
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == b""


def asked(warm: socket.socket, data: bytes, path: Path, ended: bytes = b"\0") -> list[Frame]:
    """All that is answered to a message that brings a file; `ended` is what the note says then."""
    ours, theirs = socket.socketpair()
    note, told = socket.socketpair()
    with ours, note, path.open("rb") as file:
        with theirs, told:
            socket.send_fds(warm, [data], [file.fileno(), theirs.fileno(), told.fileno()])
        frames, found = Frames(), []
        ours.settimeout(30)
        while received := ours.recv(65536):
            frames.feed(received)
            while frame := frames.take():
                found.append(frame)
        assert note.recv(10) == ended
    return found


def test_a_job_is_answered(warm: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(sounds.encode(sounds.tone(2.5)))
    measured = asked(warm, Job(measure=True, limit=60).pack(), tmp_path / "sound")
    assert [frame.kind for frame in measured] == [Kind.ALIVE, Kind.DONE]
    assert number(measured[-1].content) == 2.5
    decoded = asked(warm, Job(measure=False, limit=60).pack(), tmp_path / "sound")
    assert [frame.kind for frame in decoded] == [Kind.ALIVE, *[Kind.SAMPLES] * 3, Kind.DONE]
    assert b"".join(frame.content for frame in decoded[1:-1]) == sounds.tone(2.5).tobytes()
    refused = asked(warm, Job(measure=True, limit=1.5).pack(), tmp_path / "sound")
    assert refused[-1] == Frame(Kind.REFUSED, bytes([Refusal.TOO_LONG]))


def test_what_is_no_job_is_dropped(warm: socket.socket, tmp_path: Path) -> None:
    job = Job(measure=True, limit=60).pack()
    (tmp_path / "sound").write_bytes(sounds.encode(sounds.tone(2)))
    warm.sendall(job)
    assert asked(warm, job[:4], tmp_path / "sound", ended=b"") == []
    with (tmp_path / "sound").open("rb") as file:
        socket.send_fds(warm, [job], [file.fileno()])
    assert asked(warm, job, tmp_path / "sound")[-1].kind is Kind.DONE


@given(
    st.binary(max_size=200),
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(0, 250)),
            st.tuples(st.just("seek"), st.integers(-100, 300), st.sampled_from([0, 1, 2])),
        ),
        max_size=8,
    ),
)
def test_an_upload_reads_as_a_file_does(data: bytes, steps: list[tuple[str, int]]) -> None:
    model = io.BytesIO(data)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        upload = Upload(file.fileno())
        for name, *arguments in steps:
            start = (0, model.tell(), len(data))[arguments[1]] if name == "seek" else 0
            if name == "seek" and start + arguments[0] < 0:
                with pytest.raises(ValueError):
                    upload.seek(*arguments)
                continue
            assert getattr(upload, name)(*arguments) == getattr(model, name)(*arguments)
            assert upload.tell() == model.tell()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len(data)
