"""Measure speech through Antiphon beside faster-whisper and servers around it, on this machine, in one run.

    python -m benchmarks.speech [--recordings FOLDER] [--quick] [--only PARTS] [--beam N] [--fresh]
                                [--peer URL,MODEL] [--out FOLDER]

The folder holds recordings and a `manifest.tsv` (see `tests/data`). A run that is cut off goes on where it
stopped (`build/speech`). A full run writes its results to `benchmarks/results`; a quick one, or one of some
parts only, shows them and writes nothing there.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import shlex
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks import recordings
from benchmarks.report import machine
from benchmarks.speech import fair, long, short, tables
from benchmarks.speech.bars import bars
from benchmarks.speech.house import House
from benchmarks.speech.journal import Journal
from benchmarks.speech.lineup import Lineup
from benchmarks.speech.pages import RESULTS, ROOT
from benchmarks.speech.plan import FULL, PARTS, QUICK, Plan, nearest
from benchmarks.speech.sides import Address
from benchmarks.speech.values import Facts, Results

VERSIONS = ("antiphon", "faster-whisper", "ctranslate2", "onnxruntime", "av", "aiohttp", "uvicorn")
BUILD = ROOT / "build" / "speech"
WARM_UP_SECONDS = 5.0
LOG_WIDTH = 140
"""Characters, where no terminal says how many there are: tables are cut off in fewer."""


def main() -> None:
    given = _arguments()
    console = Console(log_path=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    clips = recordings.read(given.recordings)
    plan = QUICK if given.quick else FULL
    journal = Journal(_journal_path(given), lambda step: console.log(step, highlight=False))
    if given.fresh:
        journal.remove()
    found = asyncio.run(_run(given, clips, plan, journal))
    tables.show(console, found)
    if given.quick or set(given.only) != set(PARTS):
        console.print("not written to benchmarks/results: a quick run, or one of some parts only")
    else:
        console.print(f"written to {found.write(given.out)}")
    if set(given.only) == set(PARTS):  # complete: the next run measures anew
        journal.remove()


async def _run(
    given: argparse.Namespace, clips: list[recordings.Recording], plan: Plan, journal: Journal
) -> Results:
    running = asyncio.current_task()
    assert running is not None
    # A run that is ended takes along what it started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    house = House(given.beam)
    lineup = Lineup(house, nearest(clips, WARM_UP_SECONDS).path, BUILD, given.peer)
    only = given.only
    try:
        facts = await journal.once("facts", Facts, lambda: short.facts(lineup, clips, plan))
        found = Results(
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            command=shlex.join(["python", "-m", "benchmarks.speech", *sys.argv[1:]]),
            machine=machine(),
            versions={name: version(name) for name in VERSIONS},
            facts=facts,
            short=await short.measure(lineup, clips, plan, facts.workers, journal)
            if "short" in only
            else None,
            long=await long.measure(lineup, clips, plan, BUILD, journal) if "long" in only else None,
            fair=await fair.measure(lineup, clips, plan, BUILD, journal) if "fair" in only else None,
        )
    finally:
        await house.close()
    return msgspec.structs.replace(found, bars=bars(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--recordings", type=Path, default=ROOT / "tests" / "data", help="folder with a manifest.tsv"
    )
    parser.add_argument("--quick", action="store_true", help="few clips, short recordings: five minutes")
    parser.add_argument("--only", type=_parts, default=PARTS, help="some of short,long,fair")
    parser.add_argument("--beam", type=int, help="of every side (default: Antiphon's)")
    parser.add_argument(
        "--peer", type=_peer, action="append", default=[], help="URL,MODEL of a server to measure beside"
    )
    parser.add_argument("--fresh", action="store_true", help="forget what a run that was cut off measured")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return parts


def _peer(text: str) -> Address:
    """`URL,MODEL`; the address is the one before `/audio/transcriptions`, such as http://127.0.0.1:8000/v1."""
    url, comma, model = text.rpartition(",")
    if not comma or not url.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("URL,MODEL is wanted, such as http://127.0.0.1:8000/v1,whisper-1")
    return Address(url.rstrip("/"), model)


def _journal_path(given: argparse.Namespace) -> Path:
    """One file for each kind of run: other clips, options, code or machine are not to be mixed up."""
    source = b"".join(path.read_bytes() for path in sorted((ROOT / "src").rglob("*.py")))
    facts = (
        given.quick,
        given.beam,
        [(peer.url, peer.model) for peer in given.peer],
        (given.recordings / "manifest.tsv").read_text(),
        machine(),
        [version(name) for name in VERSIONS],
        hashlib.sha256(source).hexdigest(),
    )
    return BUILD / f"journal-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}.jsonl"


if __name__ == "__main__":
    main()
