"""Short clips: throughput and latency with 1, 4 and 16 clients, and word error rates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import figures
from benchmarks.journal import Journal
from benchmarks.recordings import Recording
from benchmarks.speech import accuracy
from benchmarks.speech.lineup import Lineup
from benchmarks.speech.plan import Plan, chosen, nearest, ordered
from benchmarks.speech.sides import Side
from benchmarks.speech.values import ANTIPHON, BATCHED, MINIMAL, WHISPER, Answer, Facts, Pace, Short

CLIP_SECONDS = 5.0
CALIBRATION_CLIENTS = 4
REST_SECONDS = 0.3
"""Between two sides in turn: threads of OpenMP go on spinning for 0.2 s."""


class Crowd(msgspec.Struct, frozen=True):
    """Clips through one side: the seconds that all took together, and the answers in the clips' order."""

    seconds: float
    answers: list[Answer]


async def crowd(side: Side, clips: Sequence[Recording], clients: int) -> Crowd:
    """So many clients, each sending the next clip that nobody has sent yet."""
    answers: dict[int, Answer] = {}
    numbers = iter(range(len(clips)))

    async def client() -> None:
        for number in numbers:
            answers[number] = await side.transcribe(clips[number].path)

    await side.ready()
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return Crowd(time.perf_counter() - begun, [answers[number] for number in range(len(clips))])


async def facts(lineup: Lineup, clips: Sequence[Recording], plan: Plan) -> Facts:
    """What the engine runs with, and the layout in which faster-whisper serves several clients best."""
    cores = await lineup.cores()
    sample: list[Recording] = []
    for clip in ordered(clips)[1:] or clips:
        if sum(one.seconds for one in sample) < plan.calibration:
            sample.append(clip)
    seconds = {}
    for workers in sorted({1, cores}):
        async with lineup.sides(WHISPER, workers=workers) as sides:
            seconds[workers] = (await crowd(sides[WHISPER], sample, CALIBRATION_CLIENTS)).seconds
    return Facts(
        model=(await lineup.house.model()).name,
        threads=cores,
        beam=await lineup.house.beam(),
        workers=min(seconds, key=lambda workers: seconds[workers]),
    )


async def measure(
    lineup: Lineup, folder: Sequence[Recording], plan: Plan, workers: int, journal: Journal
) -> Short:
    """`workers` are faster-whisper's for several clients; for one client it is one with every core."""
    clips = ordered(chosen(folder, plan.clips_per_language))
    clip = nearest(folder, CLIP_SECONDS)
    passes: dict[int, dict[str, list[Crowd]]] = {}
    async with lineup.sides(ANTIPHON, WHISPER, BATCHED, MINIMAL, servers=True) as sides:
        passes[1] = await _in_turn(sides, clips, journal)
        latencies = await _one_clip(sides, clip.path, plan.clip_repeats, journal)
    async with lineup.sides(ANTIPHON, WHISPER, BATCHED, MINIMAL, workers=workers, servers=True) as sides:
        for clients in plan.clients[1:]:
            passes[clients] = await _at_once(sides, clips, clients, plan.rounds, journal)
    return Short(
        clips=len(clips),
        seconds=sum(one.seconds for one in clips),
        pace=[_pace(clips, clients, *one) for clients, found in passes.items() for one in found.items()],
        clip_seconds=clip.seconds,
        clip_p50={name: figures.median(seconds) for name, seconds in latencies.items()},
        errors=[
            rate
            for clients, found in passes.items()
            for rate in accuracy.rates(clips, *_texts(found), clients)
        ],
        differing=accuracy.differing(clips, *_texts(passes[1])),
    )


async def _in_turn(
    sides: dict[str, Side], clips: Sequence[Recording], journal: Journal
) -> dict[str, list[Crowd]]:
    """One client: every clip through each side before the next; which side is first changes."""
    found = []
    for number, clip in enumerate(clips):
        turn = _rotated(sides, number)

        async def ask(path: Path = clip.path, turn: list[Side] = turn) -> dict[str, Answer]:
            return await _each(sides, turn, path)

        found.append(await journal.once(f"short, 1 client, {clip.path.name}", dict[str, Answer], ask))
    return {
        name: [Crowd(sum(one[name].seconds for one in found), [one[name] for one in found])] for name in sides
    }


async def _one_clip(
    sides: dict[str, Side], path: Path, repeats: int, journal: Journal
) -> dict[str, list[float]]:
    latencies: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(repeats):
        turn = _rotated(sides, number)

        async def ask(turn: list[Side] = turn) -> dict[str, float]:
            found = await _each(sides, turn, path)
            return {name: answer.seconds for name, answer in found.items()}

        found = await journal.once(f"short, a clip of 5 s, {number}", dict[str, float], ask)
        for name in sides:
            latencies[name].append(found[name])
    return latencies


async def _at_once(
    sides: dict[str, Side], clips: Sequence[Recording], clients: int, rounds: int, journal: Journal
) -> dict[str, list[Crowd]]:
    """Several clients: all clips through each side before the next; which side is first changes."""
    found: dict[str, list[Crowd]] = {name: [] for name in sides}
    for number in range(rounds):
        for side in _rotated(sides, number * (len(sides) - 1)):

            async def ask(side: Side = side) -> Crowd:
                return await crowd(side, clips, clients)

            step = f"short, {clients} clients, round {number}, {side.name}"
            found[side.name].append(await journal.once(step, Crowd, ask))
    return found


async def _each(sides: dict[str, Side], turn: list[Side], path: Path) -> dict[str, Answer]:
    """One clip through each side, one after the other."""
    for side in sides.values():
        await side.ready()
    found = {}
    for side in turn:
        await asyncio.sleep(REST_SECONDS)
        found[side.name] = await side.transcribe(path)
    return found


def _rotated(sides: dict[str, Side], number: int) -> list[Side]:
    ordered_sides = list(sides.values())
    first = number % len(ordered_sides)
    return [*ordered_sides[first:], *ordered_sides[:first]]


def _texts(found: dict[str, list[Crowd]]) -> tuple[list[str], list[str]]:
    """Antiphon's and faster-whisper's, of the first round."""
    ours, theirs = ([answer.text for answer in found[name][0].answers] for name in (ANTIPHON, WHISPER))
    return ours, theirs


def _pace(clips: Sequence[Recording], clients: int, side: str, rounds: list[Crowd]) -> Pace:
    sound = sum(clip.seconds for clip in clips) * len(rounds)
    latencies = [answer.seconds for one in rounds for answer in one.answers]
    return Pace(
        side=side,
        clients=clients,
        real_time_factor=sound / sum(one.seconds for one in rounds),
        p50=figures.percentile(latencies, 50),
        p95=figures.percentile(latencies, 95),
    )
