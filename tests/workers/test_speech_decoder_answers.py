"""The decoders on uvloop, and what they make of a child that was taken over by its file."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import numpy as np
import psutil
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

import sounds
from antiphon.errors import AntiphonError
from antiphon.workers.speech import decode, decoder, refusals
from antiphon.workers.speech.decoder import Decoders, Sound
from antiphon.workers.speech.frames import LONGEST, Kind, pack, pack_number
from antiphon.workers.speech.sniff import UNREADABLE


async def everything(sound: Sound) -> sounds.Samples:
    pieces = []
    while len(piece := await sound.read()):
        pieces.append(piece)
    return np.concatenate(pieces)


def test_uvloop_serves_as_well(recordings: Path) -> None:
    async def main() -> sounds.Samples:
        decoders = Decoders(8)
        with (recordings / "en_whisper_jfk.flac").open("rb") as file:
            seconds = await decoders.scan(file, 60)
            cancelled = asyncio.create_task(decoders.scan(file, 60))
            await asyncio.sleep(0.001)
            cancelled.cancel()
            async with decoders.open(file, 60, seconds) as sound:
                found = await everything(sound)
            assert decoders._parent is not None
            psutil.Process(decoders._parent._process.pid).kill()
            async with decoders.open(file, 60, seconds) as sound:
                again = await everything(sound)
        await decoders.close()
        assert np.array_equal(found, again)
        return found

    found = uvloop.run(main())
    with (recordings / "en_whisper_jfk.flac").open("rb") as file:
        assert np.array_equal(found, np.concatenate(list(decode.samples(file, 60, lambda: None))))


hostile = st.lists(
    st.one_of(
        st.binary(max_size=100),
        st.builds(pack, st.sampled_from(Kind), st.binary(max_size=20)),
        st.builds(lambda value: pack(Kind.DONE, pack_number(value)), st.floats()),
        st.just(pack(Kind.SAMPLES, bytes(LONGEST))),
    ),
    max_size=6,
).map(b"".join)


@given(hostile)
@settings(deadline=None)
def test_whatever_a_captured_child_says_is_bounded(said: bytes) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        note, told = socket.socketpair()
        with theirs, told:
            ours.setblocking(False)
            theirs.sendall(said)
        answer = decoder._Answer(None, ours, note, 3.0)  # type: ignore[arg-type]
        try:
            sound = Sound(answer, 3.0, 2.0)
            while len(await sound.read()):
                assert sound.seconds <= 3.0 + decode.PRIMING
        finally:
            answer.close()

    try:
        asyncio.run(main())
    except AntiphonError as refused:
        assert refused.message in {
            UNREADABLE,
            decoder._stopped().message,
            refusals.WRONG_LENGTH,
            *(refusals.error(kind, 3.0).message for kind in refusals.Refusal),
        }
