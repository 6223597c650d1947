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
from pathlib import Path

import msgspec

from benchmarks import recordings, runs
from benchmarks.journal import Journal
from benchmarks.runs import BUILD, ROOT
from benchmarks.speech import fair, long, short, tables
from benchmarks.speech.bars import bars
from benchmarks.speech.house import House
from benchmarks.speech.lineup import Lineup
from benchmarks.speech.plan import FULL, PARTS, QUICK, Plan, nearest
from benchmarks.speech.sides import Address
from benchmarks.speech.values import KIND, Facts, Results

PACKAGES = ("antiphon", "faster-whisper", "ctranslate2", "onnxruntime", "av", "aiohttp", "uvicorn")
FOLDER = BUILD / KIND
WARM_UP_SECONDS = 5.0


def main() -> None:
    given = _arguments()
    console = runs.console()
    manifest = (given.recordings / "manifest.tsv").read_text()
    peers = [(peer.url, peer.model) for peer in given.peer]
    journal = runs.journal(KIND, given, console, PACKAGES, given.beam, peers, manifest)
    plan = QUICK if given.quick else FULL
    found = asyncio.run(_run(given, recordings.read(given.recordings), plan, journal))
    tables.show(console, found)
    runs.finish(given, console, journal, found.save, PARTS)


async def _run(
    given: argparse.Namespace, clips: list[recordings.Recording], plan: Plan, journal: Journal
) -> Results:
    runs.end_with_sigterm()
    house = House(given.beam)
    lineup = Lineup(house, nearest(clips, WARM_UP_SECONDS).path, FOLDER, given.peer)
    only = given.only
    try:
        facts = await journal.once("facts", Facts, lambda: short.facts(lineup, clips, plan))
        found = Results(
            **runs.about(KIND, PACKAGES),
            facts=facts,
            short=await short.measure(lineup, clips, plan, facts.workers, journal)
            if "short" in only
            else None,
            long=await long.measure(lineup, clips, plan, FOLDER, journal) if "long" in only else None,
            fair=await fair.measure(lineup, clips, plan, FOLDER, journal) if "fair" in only else None,
        )
    finally:
        await house.close()
    return msgspec.structs.replace(found, bars=bars(found))


def _arguments() -> argparse.Namespace:
    parser = runs.parser(KIND, __doc__.splitlines()[0], PARTS, "few clips, short recordings: five minutes")
    parser.add_argument(
        "--recordings", type=Path, default=ROOT / "tests" / "data", help="folder with a manifest.tsv"
    )
    parser.add_argument("--beam", type=int, help="of every side (default: Antiphon's)")
    parser.add_argument(
        "--peer", type=_peer, action="append", default=[], help="URL,MODEL of a server to measure beside"
    )
    return parser.parse_args()


def _peer(text: str) -> Address:
    """`URL,MODEL`; the address is the one before `/audio/transcriptions`, such as http://127.0.0.1:8000/v1."""
    url, comma, model = text.rpartition(",")
    if not comma or not url.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError("URL,MODEL is wanted, such as http://127.0.0.1:8000/v1,whisper-1")
    return Address(url.rstrip("/"), model)


if __name__ == "__main__":
    main()
