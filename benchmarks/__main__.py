"""Measure chat and speech through Antiphon beside the bare engines, on this machine, in one run.

    python -m benchmarks --speech FOLDER [--out FILE] [--quick]

The folder holds recordings and a `manifest.tsv` (see `tests/data`). Antiphon is started with the bundled
models; the chat engine beside it has the flags of Antiphon's own, and faster-whisper the same model.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import chat, recordings, report, speech
from benchmarks.processes import LLAMA, Server, antiphon, engine, engine_command, flag

CLIENTS = (1, 4, 16)
ROUNDS, QUICK_ROUNDS = 5, 1
QUICK_RECORDINGS = 3
"""Of each language, with `--quick`."""
SETTINGS = {"ANTIPHON_QUEUE_SECONDS": str(chat.REQUEST_SECONDS)}
"""A slow machine is to be measured, not refused by."""
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, required=True, help="folder of recordings with a manifest.tsv")
    parser.add_argument("--out", type=Path, help="JSON file to write (default: a name in benchmarks/results)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and recordings: about two minutes")
    given = parser.parse_args()

    clips = _chosen(recordings.read(given.speech), QUICK_RECORDINGS if given.quick else None)
    rounds = QUICK_ROUNDS if given.quick else ROUNDS
    console = Console()
    with TemporaryDirectory(prefix="antiphon-") as folder, _progress(console) as progress:
        task = progress.add_task("starting", total=2 * rounds * len(CLIENTS) + len(clips))

        def step() -> None:
            progress.advance(task)

        with antiphon(Path(folder) / "home", SETTINGS) as server:
            progress.update(task, description="chat")
            chats = asyncio.run(_chat(server, Path(folder) / "bare.sock", rounds, step))
            progress.update(task, description="speech")
            speeches = asyncio.run(_speech(server, clips, step))
    found = report.report(chats, speeches)
    report.show(console, found)
    path = given.out or report.default_path(RESULTS)
    found.write(path)
    console.print(f"written to {path}")


async def _chat(server: Server, address: Path, rounds: int, step: Callable[[], None]) -> list[chat.Measured]:
    ours = chat.Target("Antiphon", server.url, "gpt-3.5-turbo", key=server.key)
    bare = chat.Target("bare engine", "http://engine/v1", "bare", socket=address)
    with engine(server, LLAMA, address):
        return await chat.compare((ours, bare), CLIENTS, rounds, step)


async def _speech(
    server: Server, clips: list[recordings.Recording], step: Callable[[], None]
) -> list[speech.Measured]:
    command = engine_command(server, "antiphon.workers.speech")
    other = speech.FasterWhisper(Path(flag(command, "--model")), int(flag(command, "--threads")))
    ours = chat.Target("Antiphon", server.url, "whisper-1", key=server.key)
    return await speech.compare(ours, other, clips, step)


def _chosen(found: list[recordings.Recording], most: int | None) -> list[recordings.Recording]:
    """The first `most` of each language."""
    seen: Counter[str] = Counter()
    kept = []
    for recording in found:
        seen[recording.language] += 1
        if most is None or seen[recording.language] <= most:
            kept.append(recording)
    return kept


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


if __name__ == "__main__":
    main()
