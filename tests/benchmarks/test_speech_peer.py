"""faster-whisper as the benchmarks run it, in a process that is asked through a pipe."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from benchmarks.recordings import read
from benchmarks.speech.sides import PeerSide
from benchmarks.words import error_rate


def peer(model: Path, clip: Path, log: Path) -> PeerSide:
    async def flags() -> list[str]:
        return ["--model", str(model), "--threads", "1", "--workers", "1", "--beam", "1"]

    return PeerSide("peer", flags, clip, log)


async def test_a_peer_answers_and_says_what_it_cannot_read(
    whisper_base: Path, recordings: Path, tmp_path: Path
) -> None:
    clip = next(one for one in read(recordings) if "aew_a0003" in one.path.name)
    side = peer(whisper_base, clip.path, tmp_path / "peer.log")
    await side.ready()
    try:
        found = await side.transcribe(clip.path)
        assert error_rate([clip.reference], [found.text], "en") < 0.5
        assert 0 < found.first <= found.seconds
        with pytest.raises(RuntimeError, match="peer: "):
            await side.transcribe(tmp_path / "nothing.ogg")
        assert (await side.transcribe(clip.path)).text == found.text
    finally:
        await side.close()


async def test_who_waits_for_a_peer_that_ends_is_told(
    whisper_base: Path, recordings: Path, tmp_path: Path
) -> None:
    clip = read(recordings)[0]
    side = peer(whisper_base, clip.path, tmp_path / "peer.log")
    ready = asyncio.create_task(side.ready())
    while not side.started:
        await asyncio.sleep(0.01)
    await side.close()
    with pytest.raises(RuntimeError, match="peer ended"):
        await ready
