"""Real processes and real files: what a recording costs, and what is left of it, however it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import psutil
import pytest
import pytest_asyncio

import sounds
from antiphon.errors import (
    AntiphonError,
    AudioTooShort,
    EngineFailed,
    InvalidAudio,
    TooLarge,
    Unavailable,
)
from antiphon.workers.speech import decode, decoder, refusals
from antiphon.workers.speech.decoder import Decoders, Sound
from antiphon.workers.speech.sniff import UNREADABLE
from antiphon.workers.speech.values import RATE
from bad_input.bomb_cases import BOMBS, _flac
from bad_input.lies import _mp4_count
from until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Decoders]:
    decoders = Decoders(32)
    await decoders.start()
    yield decoders
    await decoders.close()


@pytest_asyncio.fixture(loop_scope="module")
async def decoders(shared: Decoders) -> AsyncIterator[Decoders]:
    """The module's decoders; a test leaves neither a process nor a descriptor behind."""
    await shared.start()
    gc.collect()
    before = descriptors()
    yield shared
    # What earlier tests left to the garbage collector may go meanwhile.
    await until(lambda: not children(shared) and descriptors() <= before)


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def warm(decoders: Decoders) -> psutil.Process:
    assert decoders._parent is not None
    return psutil.Process(decoders._parent._process.pid)


def children(decoders: Decoders) -> list[psutil.Process]:
    """The warm process's children, zombies among them."""
    return warm(decoders).children()


def peak(process: psutil.Process) -> int:
    """Most physical memory that a process has had, in bytes; 0 once it has gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


@contextmanager
def upload(data: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        yield file  # type: ignore[misc]


async def everything(sound: Sound) -> sounds.Samples:
    pieces = []
    while len(piece := await sound.read()):
        assert len(piece) <= RATE and piece.dtype == np.int16
        pieces.append(piece)
    assert len(await sound.read()) == 0
    return np.concatenate(pieces)


async def decoded(decoders: Decoders, data: bytes, limit: float = 3600) -> sounds.Samples:
    with upload(data) as file:
        async with decoders.open(file, limit) as sound:
            return await everything(sound)


def in_process(data: bytes, limit: float = 3600) -> sounds.Samples:
    with upload(data) as file:
        return np.concatenate(list(decode.samples(file, limit, lambda: None)))


def hour() -> bytes:
    """Over half an hour of silence in 6 kB."""
    return _flac(0.5)


@pytest.mark.parametrize("name", sounds.CONTAINERS)
async def test_every_container_gives_the_samples_that_decoding_gives(decoders: Decoders, name: str) -> None:
    data = sounds.encode(np.random.default_rng(3).normal(0, 3000, 5 * RATE).astype(np.int16), name)
    with upload(data) as file:
        seconds = await decoders.scan(file, 3600)
        assert seconds == decode.scan(file, 3600, lambda: None)
        async with decoders.open(file, 3600, seconds) as sound:
            found = await everything(sound)
            assert sound.seconds == len(found) / RATE
    assert np.array_equal(found, in_process(data))


async def test_real_recordings_give_the_samples_that_decoding_gives(
    decoders: Decoders, recordings: Path
) -> None:
    for name in sorted(os.listdir(recordings)):
        if "_" not in name:
            continue
        data = (recordings / name).read_bytes()
        assert np.array_equal(await decoded(decoders, data), in_process(data))


@pytest.mark.parametrize("name", ["wav", "mp3", "mpeg", "webm", "flac", "ogg"])
@pytest.mark.parametrize("part", [0.5, 0.95])
async def test_a_cut_off_file_gives_what_is_left(decoders: Decoders, name: str, part: float) -> None:
    data = sounds.encode(np.random.default_rng(3).normal(0, 3000, 5 * RATE).astype(np.int16), name)
    data = data[: int(len(data) * part)]
    found = await decoded(decoders, data)
    assert np.array_equal(found, in_process(data))
    assert len(found) == pytest.approx(5 * part * RATE, abs=1.3 * RATE)
    with upload(data) as file:
        assert await decoders.scan(file, 3600) == pytest.approx(len(found) / RATE, abs=1.1)


@pytest.mark.parametrize(
    ("make", "problem", "message"),
    [
        (lambda: b"", InvalidAudio, UNREADABLE),
        (lambda: b"only text", InvalidAudio, UNREADABLE),
        (lambda: b"OggS" + bytes(5000), InvalidAudio, UNREADABLE),
        (lambda: sounds.encode(sounds.silence(0)), InvalidAudio, UNREADABLE),
        (lambda: sounds.video("mp4"), InvalidAudio, refusals.NO_TRACK),
        (lambda: sounds.video("matroska"), InvalidAudio, refusals.NO_TRACK),
        (lambda: sounds.encode(sounds.tone(0.09)), AudioTooShort, AudioTooShort().message),
        (lambda: sounds.encode(sounds.tone(12), "flac"), TooLarge, refusals.too_long(10).message),
        (lambda: sounds.encode(sounds.tone(12), "mp4"), TooLarge, refusals.too_long(10).message),
        (lambda: sounds.encode(sounds.tone(12), "mp3"), TooLarge, refusals.too_long(10).message),
    ],
)
async def test_a_refusal_arrives_as_decoding_raised_it(
    decoders: Decoders, make: Callable[[], bytes], problem: type[AntiphonError], message: str
) -> None:
    with upload(make()) as file:
        with pytest.raises(problem) as refused:
            await decoders.scan(file, 10)
        assert refused.value.message == message and refused.value.param == "file"
        async with decoders.open(file, 10) as sound:
            with pytest.raises(problem) as refused:
                await everything(sound)
        assert refused.value.message == message and refused.value.param == "file"


async def test_the_limit_is_passed_mid_way(decoders: Decoders) -> None:
    with upload(sounds.without_length(sounds.encode(sounds.tone(12), "flac"))) as file:
        async with decoders.open(file, 10) as sound:
            for _ in range(10):
                assert len(await sound.read()) == RATE
            with pytest.raises(TooLarge) as refused:
                await sound.read()
    assert refused.value.code == "audio_too_long"


@pytest.mark.parametrize("name", ["mp3", "mp4", "flac", "wav"])
async def test_what_a_codec_adds_is_not_over_the_limit(decoders: Decoders, name: str) -> None:
    with upload(sounds.encode(sounds.tone(10.3), name)) as file:
        seconds = await decoders.scan(file, 10)
        assert seconds == 10
        async with decoders.open(file, 10, seconds) as sound:
            assert len(await everything(sound)) == pytest.approx(10.3 * RATE, abs=0.15 * RATE)


async def test_a_container_that_states_too_little_is_refused_when_it_shows(decoders: Decoders) -> None:
    data = _mp4_count(b"stts", 12, 100)(sounds.encode(sounds.tone(60), "mp4"))
    with upload(data) as file:
        stated = await decoders.scan(file, 3600)
        assert 1 < stated < 10
        async with decoders.open(file, 3600, stated) as sound:
            with pytest.raises(InvalidAudio) as refused:
                await everything(sound)
    assert refused.value.message == refusals.WRONG_LENGTH
    assert sound.seconds < stated + 3


async def test_small_differences_to_what_was_stated_are_no_lie(decoders: Decoders) -> None:
    with upload(sounds.encode(sounds.tone(60))) as file:
        async with decoders.open(file, 3600, 57.9) as sound:
            assert len(await everything(sound)) == 60 * RATE
        async with decoders.open(file, 3600, 57.8) as sound:
            with pytest.raises(InvalidAudio):
                await everything(sound)


@on_linux
@pytest.mark.parametrize(
    "name", ["flac-of-25-mib", "flac-of-25-mib-and-8-channels", "flac-lying", "opus-of-25-mib"]
)
async def test_a_bomb_is_refused_and_no_process_grows(decoders: Decoders, name: str) -> None:
    data = BOMBS[name][0]()
    family = [psutil.Process(), warm(decoders)]
    before = [process.memory_info().rss for process in family]
    highest = 0

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max([highest, *(peak(child) for child in children(decoders))])
            await asyncio.sleep(0.01)

    with upload(data) as file:
        watching = asyncio.create_task(watch())
        with pytest.raises(TooLarge):
            await decoders.scan(file, 900)
        async with decoders.open(file, 900) as sound:
            with pytest.raises(TooLarge):
                while len(await sound.read()):
                    continue
        watching.cancel()
    assert 0 < highest < before[1] + 64 * MIB
    for process, was in zip(family, before, strict=True):
        assert process.memory_info().rss < was + 64 * MIB


@on_linux
async def test_what_nobody_reads_is_not_decoded(decoders: Decoders) -> None:
    with upload(hour()) as file:
        before = psutil.Process().memory_info().rss
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            (child,) = children(decoders)
            await until(lambda: child.status() == psutil.STATUS_SLEEPING)
            spent = child.cpu_times().user
            assert peak(child) < warm(decoders).memory_info().rss + 32 * MIB
            assert psutil.Process().memory_info().rss < before + 16 * MIB
            # It waits for its reader: nothing but reading lets it go on, and then all is there.
            assert child.cpu_times().user == spent
            length = RATE + len(await everything(sound))
    assert length == pytest.approx(1802 * RATE, rel=0.001)


async def test_leaving_ends_the_child_at_once(decoders: Decoders) -> None:
    with upload(hour()) as file:
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            (child,) = children(decoders)
        await until(lambda: not child.is_running(), seconds=5)
        assert children(decoders) == []


@pytest.mark.parametrize("ticks", range(0, 24, 3))
async def test_a_cancelled_request_leaves_nothing(decoders: Decoders, ticks: int) -> None:
    with upload(hour()) as file:

        async def read() -> None:
            await decoders.scan(file, 3600)
            async with decoders.open(file, 3600) as sound:
                await everything(sound)

        for pause in (0, 0.001, 0.004):
            task = asyncio.create_task(read())
            for _ in range(ticks):
                await asyncio.sleep(pause)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert len(await decoded(decoders, sounds.encode(sounds.tone(1)))) == RATE


async def test_a_cancelled_read_loses_nothing(decoders: Decoders) -> None:
    data = sounds.encode(np.random.default_rng(4).normal(0, 3000, 20 * RATE).astype(np.int16), "mp3")
    pieces, cancelled = [np.empty(0, np.int16)], 0
    with upload(data) as file:
        async with decoders.open(file, 3600) as sound:
            while sum(map(len, pieces)) < 10 * RATE:
                task = asyncio.create_task(sound.read())
                for _ in range(len(pieces) + cancelled % 7):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    pieces.append(await task)
                except asyncio.CancelledError:
                    cancelled += 1
            pieces.append(await everything(sound))
    assert cancelled and np.array_equal(np.concatenate(pieces), in_process(data))


async def test_sixteen_at_once_are_all_right(decoders: Decoders) -> None:
    files = [
        sounds.encode(np.random.default_rng(n).normal(0, 3000, (n + 1) * RATE).astype(np.int16), name)
        for n, name in enumerate([*sounds.CONTAINERS, "mp3", "flac", "ogg", "wav"])
    ]
    assert len(files) == 16
    found = await asyncio.gather(*(decoded(decoders, data) for data in files))
    for samples, data in zip(found, files, strict=True):
        assert np.array_equal(samples, in_process(data))


async def test_too_many_at_once_are_refused() -> None:
    few = Decoders(at_once=2)
    await few.start()
    with upload(hour()) as file:
        async with few.open(file, 3600), few.open(file, 3600):
            with pytest.raises(Unavailable):
                await few.scan(file, 3600)
        assert await few.scan(file, 3600) > 1800
    await few.close()


@pytest.mark.parametrize("rolled", [False, True])
async def test_an_upload_may_still_be_in_memory(decoders: Decoders, rolled: bool) -> None:
    data = sounds.encode(sounds.tone(2), "mp3")
    with tempfile.SpooledTemporaryFile(max_size=MIB) as file:
        file.write(data)
        if rolled:
            file.rollover()
        assert await decoders.scan(file, 60) == pytest.approx(2, abs=0.1)
        async with decoders.open(file, 60) as sound:
            assert np.array_equal(await everything(sound), in_process(data))


async def test_a_file_may_be_read_twice_at_once_and_stays_where_it_is(decoders: Decoders) -> None:
    data = sounds.encode(sounds.tone(20), "ogg")
    with upload(data) as file:
        file.seek(7)
        async with decoders.open(file, 60) as one, decoders.open(file, 60) as other:
            first, second = await asyncio.gather(everything(one), everything(other))
        assert file.tell() == 7
    assert np.array_equal(first, second) and np.array_equal(first, in_process(data))


async def test_a_file_may_be_closed_once_it_is_open(decoders: Decoders) -> None:
    data = sounds.encode(sounds.tone(20), "ogg")
    with upload(data) as file:
        opening = decoders.open(file, 60)
        sound = await opening.__aenter__()
    assert np.array_equal(await everything(sound), in_process(data))
    await opening.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        # What a file does to a decoder, and what only the machine does.
        (signal.SIGSEGV, InvalidAudio),
        (signal.SIGABRT, InvalidAudio),
        (signal.SIGXCPU, InvalidAudio),
        (signal.SIGKILL, EngineFailed),
    ],
)
async def test_a_child_that_ends_costs_its_recording_alone(
    decoders: Decoders, ending: signal.Signals, problem: type[AntiphonError]
) -> None:
    with upload(hour()) as file, upload(hour()) as second:
        async with decoders.open(file, 3600) as sound, decoders.open(second, 3600) as other:
            await sound.read()
            oldest = min(children(decoders), key=lambda child: child.pid)
            oldest.send_signal(ending)
            with pytest.raises(problem) as refused:
                await everything(sound)
            assert problem is not InvalidAudio or refused.value.message == UNREADABLE
            assert len(await everything(other)) > 1800 * RATE


async def test_a_child_that_stands_still_is_given_up(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "STUCK_SECONDS", 0.3)
    with upload(hour()) as file:
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            (child,) = children(decoders)
            child.suspend()
            with pytest.raises(EngineFailed):
                await everything(sound)
    await until(lambda: not child.is_running())


@pytest.mark.fault("a decoder is killed")
async def test_a_killed_warm_process_is_started_again(decoders: Decoders) -> None:
    first = warm(decoders)
    with upload(hour()) as file:
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            (child,) = children(decoders)
            first.kill()
            with pytest.raises(EngineFailed):
                await everything(sound)
        both = await asyncio.gather(decoders.scan(file, 3600), decoders.scan(file, 3600))
    assert both[0] == both[1] > 1800
    assert warm(decoders) != first
    await until(lambda: not child.is_running() and not first.is_running())


async def test_a_frozen_warm_process_is_replaced(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "BEGIN_SECONDS", 1.0)
    frozen = warm(decoders)
    frozen.suspend()
    with upload(hour()) as file:
        both = await asyncio.gather(decoders.scan(file, 3600), decoders.scan(file, 3600))
    assert both[0] == both[1] > 1800
    assert warm(decoders) != frozen and not frozen.is_running()


async def test_signals_to_the_group_do_not_end_what_is_under_way(decoders: Decoders) -> None:
    with upload(hour()) as file:
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            for process in (warm(decoders), *children(decoders)):
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGINT)
            assert len(await everything(sound)) > 1800 * RATE


async def test_a_warm_process_that_cannot_start_is_a_failed_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for program in ("/nowhere/python", "/bin/false"):
        broken = Decoders(32)
        monkeypatch.setattr(sys, "executable", program)
        with pytest.raises(EngineFailed):
            await broken.start()
        monkeypatch.undo()
        await broken.start()  # The next one finds the fault mended.
        await broken.close()


async def test_nothing_begins_once_it_is_closed() -> None:
    closed = Decoders(32)
    await closed.start()
    process = warm(closed)
    with upload(hour()) as file:
        async with closed.open(file, 3600) as sound:
            await closed.close()
            assert not process.is_running()
            with pytest.raises(EngineFailed):
                await everything(sound)
        with pytest.raises(EngineFailed):
            await closed.scan(file, 3600)
    await closed.close()


async def test_closing_ends_what_is_still_starting() -> None:
    before = psutil.Process().children()
    decoders = Decoders(32)
    starting = asyncio.create_task(decoders.start())
    await asyncio.sleep(0)
    await decoders.close()
    await asyncio.gather(starting, return_exceptions=True)
    assert psutil.Process().children() == before


@on_linux
async def test_a_child_can_open_nothing(decoders: Decoders) -> None:
    with upload(hour()) as file:
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            (child,) = children(decoders)
            for limit in (psutil.RLIMIT_NOFILE, psutil.RLIMIT_CORE, psutil.RLIMIT_FSIZE):
                assert child.rlimit(limit) == (0, 0)
            # The first of these sends SIGXCPU, the second SIGKILL.
            assert child.rlimit(psutil.RLIMIT_CPU) == (180, 185)
            assert child.nice() == min(19, warm(decoders).nice() + 5)
            # Standard input, output and errors, the file, the answer.
            assert child.num_fds() == 5


async def test_no_socket_of_the_worker_is_inherited(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        listener.set_inheritable(True)
        decoders = Decoders(32)
        await decoders.start()
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(tmp_path / "socket"))
    await decoders.close()


WORKER = """
import asyncio, sys
import psutil, uvloop
from antiphon.workers.speech.decoder import Decoders

async def main():
    decoders = Decoders(32)
    with open(sys.argv[1], "rb") as file:
        async with decoders.open(file, 3600) as sound:
            await sound.read()
            print(*(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
            await asyncio.sleep(600)

uvloop.run(main())
"""


async def test_all_end_with_a_killed_worker(tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(hour())
    command = [sys.executable, "-c", WORKER, str(tmp_path / "sound")]
    worker = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    family = [psutil.Process(int(pid)) for pid in (await worker.stdout.readline()).split()]
    assert len(family) == 2
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    # Orphans may stay zombies where nobody buries them.
    await until(
        lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in family), seconds=5
    )
