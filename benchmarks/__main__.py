"""Measure chat through Antiphon beside the bare engine, on this machine, in one run.

    python -m benchmarks [--out FILE] [--quick]

Antiphon is started with the bundled model; the engine beside it has the flags of Antiphon's own. Speech is
measured by `python -m benchmarks.speech`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import chat, report
from benchmarks.processes import LLAMA, Server, antiphon, engine

CLIENTS = (1, 4, 16)
ROUNDS, QUICK_ROUNDS = 5, 1
SETTINGS = {"ANTIPHON_QUEUE_SECONDS": str(chat.REQUEST_SECONDS)}
"""A slow machine is to be measured, not refused by."""
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write (default: a name in benchmarks/results)")
    parser.add_argument("--quick", action="store_true", help="one round: about a minute")
    given = parser.parse_args()

    rounds = QUICK_ROUNDS if given.quick else ROUNDS
    console = Console()
    with TemporaryDirectory(prefix="antiphon-") as folder, _progress(console) as progress:
        task = progress.add_task("starting", total=2 * rounds * len(CLIENTS))

        def step() -> None:
            progress.advance(task)

        with antiphon(Path(folder) / "home", SETTINGS) as server:
            progress.update(task, description="chat")
            chats = asyncio.run(_chat(server, Path(folder) / "bare.sock", rounds, step))
    found = report.report(chats)
    report.show(console, found)
    path = given.out or report.default_path(RESULTS)
    found.write(path)
    console.print(f"written to {path}")


async def _chat(server: Server, address: Path, rounds: int, step: Callable[[], None]) -> list[chat.Measured]:
    ours = chat.Target("Antiphon", server.url, "gpt-3.5-turbo", key=server.key)
    bare = chat.Target("bare engine", "http://engine/v1", "bare", socket=address)
    with engine(server, LLAMA, address):
        return await chat.compare((ours, bare), CLIENTS, rounds, step)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


if __name__ == "__main__":
    main()
