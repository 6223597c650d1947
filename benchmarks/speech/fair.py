"""A short clip sent again and again: alone, and while a long recording is transcribed by the same worker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.journal import Journal
from benchmarks.recordings import Recording
from benchmarks.speech.lineup import Lineup
from benchmarks.speech.long import longest
from benchmarks.speech.long_recording import SEED, build
from benchmarks.speech.plan import Plan, nearest
from benchmarks.speech.sides import Side
from benchmarks.speech.values import ANTIPHON, Fair

CLIP_SECONDS = 3.0
EVERY = (1.5, 2.5)
"""Seconds between two sendings: not in step with the windows of the long recording."""
MOST_AT_ONCE = 8
"""Clips that may be under way; a server so slow is not sent more."""


class Loaded(msgspec.Struct, frozen=True):
    latencies: list[float]
    long_seconds: float


async def measure(
    lineup: Lineup, clips: Sequence[Recording], plan: Plan, folder: Path, journal: Journal
) -> Fair:
    clip = nearest(clips, CLIP_SECONDS)
    case = longest(clips, plan)
    async with lineup.sides(ANTIPHON) as sides:
        side = sides[ANTIPHON]

        async def idle() -> list[float]:
            await side.ready()
            sent = iter(range(plan.idle_clips))
            return await send(side, clip.path, lambda: next(sent, None) is not None)

        async def loaded() -> Loaded:
            recording = build(case.pieces, folder)
            await side.ready()
            return await _loaded(side, clip.path, recording)

        alone = await journal.once("fair, idle", list[float], idle)
        behind = await journal.once("fair, behind the longest recording", Loaded, loaded)
    return Fair(
        clip_seconds=clip.seconds,
        long_seconds=case.seconds,
        idle=alone,
        loaded=behind.latencies,
        real_time_factor=case.seconds / behind.long_seconds,
    )


async def _loaded(side: Side, clip: Path, recording: Path) -> Loaded:
    """Clips that are sent while the long recording is under way; the last may outlive it."""
    async with asyncio.TaskGroup() as group:
        long = group.create_task(side.transcribe(recording, stream=True))
        latencies = await send(side, clip, lambda: not long.done())
    return Loaded(latencies, long.result().seconds)


async def send(side: Side, clip: Path, more: Callable[[], bool]) -> list[float]:
    """Latencies, in the order of sending, of clips that are sent on a clock, answered or not."""
    chance = random.Random(SEED)
    places = asyncio.Semaphore(MOST_AT_ONCE)
    latencies: dict[int, float] = {}

    async def one(number: int) -> None:
        try:
            latencies[number] = (await side.transcribe(clip)).seconds
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        number = 0
        while True:
            await asyncio.sleep(chance.uniform(*EVERY))
            await places.acquire()
            if not more():
                break
            group.create_task(one(number))
            number += 1
    return [latencies[number] for number in sorted(latencies)]
