"""Measure chat through Antiphon beside llama.cpp's own server, on this machine, in one run.

    python -m benchmarks.chat [--quick] [--only PARTS] [--fresh] [--out FOLDER]

Antiphon runs with its defaults and the bundled model; llama.cpp's server with the same file, and with that
file in the kind of numbers that it computes fastest. The sides take turns. A run that is cut off goes on
where it stopped (`build/chat`). A full run writes its results to `benchmarks/results`; a quick one, or one of
some parts only, shows them and writes nothing there.
"""

from __future__ import annotations

import argparse
import asyncio
from importlib.metadata import version

import msgspec

from antiphon.cores import cores
from benchmarks import runs
from benchmarks.chat import quality, tables
from benchmarks.chat.bars import bars
from benchmarks.chat.loads import LOADS
from benchmarks.chat.plan import FULL, PARTS, QUICK, Plan
from benchmarks.chat.sides import Lineup
from benchmarks.chat.values import KIND, REFERENCE, SIDES, Quality, Results, Round, Row
from benchmarks.journal import Journal
from benchmarks.processes import OPENVINO

PACKAGES = ("antiphon", "xllamacpp", "openvino-genai", "aiohttp", "uvicorn")
FOLDER = runs.BUILD / KIND


def main() -> None:
    given = runs.parser(KIND, __doc__.splitlines()[0], PARTS, "few and short requests: minutes").parse_args()
    console = runs.console()
    journal = runs.journal(KIND, given, console, PACKAGES)
    found = asyncio.run(_run(given, QUICK if given.quick else FULL, journal))
    tables.show(console, found)
    runs.finish(given, console, journal, found.save, PARTS)


async def _run(given: argparse.Namespace, plan: Plan, journal: Journal) -> Results:
    runs.end_with_sigterm()
    lineup = Lineup(FOLDER)
    try:
        rows = []
        for load, clients, rounds in _loads(plan):
            if load in given.only:
                rows += await _rows(lineup, plan, load, clients, rounds, journal)
        found = Results(
            **runs.about(KIND, PACKAGES),
            engine=await asyncio.to_thread(_engine, lineup),
            threads=cores(),
            plan=msgspec.to_builtins(plan),
            rows=rows,
            quality=await journal.once("quality", Quality, lambda: _quality(lineup, plan))
            if "quality" in given.only
            else None,
        )
    finally:
        await asyncio.to_thread(lineup.close)
    return msgspec.structs.replace(found, bars=bars(found))


def _loads(plan: Plan) -> list[tuple[str, int, int]]:
    """Each with its number of clients and of rounds."""
    return [
        *(("clients", clients, plan.rounds) for clients in plan.clients),
        ("long", plan.long_clients, plan.rounds),
        ("shared", plan.shared_clients, plan.shared_rounds),
        ("mixed", plan.mixed_streams, plan.rounds),
    ]


async def _rows(
    lineup: Lineup, plan: Plan, load: str, clients: int, rounds: int, journal: Journal
) -> list[Row]:
    """One load on every side; which of them is first changes from round to round."""
    found: dict[str, list[Round]] = {side: [] for side in SIDES}
    for number in range(rounds):
        turn = SIDES[number % len(SIDES) :] + SIDES[: number % len(SIDES)]
        for side in turn:

            async def measure(side: str = side, number: int = number) -> Round:
                target = await lineup.target(side)
                done = await LOADS[load](target, plan, clients, f"{load}-{clients}-{number}")
                return msgspec.structs.replace(done, peak_mib=lineup.peak_mib(side))

            step = f"{load}, {clients} clients, round {number}: {side}"
            found[side].append(await journal.once(step, Round, measure))
    return [Row(load=load, clients=clients, side=side, rounds=done) for side, done in found.items()]


async def _quality(lineup: Lineup, plan: Plan) -> Quality:
    asked = quality.questions(plan.questions)
    reference = await quality.answers(await lineup.target(REFERENCE), asked)
    agreement = [
        quality.agreement(side, await quality.answers(await lineup.target(side), asked), reference)
        for side in SIDES
    ]
    prepared, tokens = lineup.prepared, plan.perplexity_tokens
    return Quality(
        agreement=agreement,
        perplexity=await quality.perplexity(prepared, tokens) if prepared else None,
        reference_perplexity=await quality.reference_perplexity(lineup.model, prepared, tokens)
        if prepared
        else None,
    )


def _engine(lineup: Lineup) -> str:
    package = "openvino-genai" if lineup.engine == OPENVINO else "xllamacpp"
    return f"{package} {version(package)}"


if __name__ == "__main__":
    main()
