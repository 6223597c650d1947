"""Measure chat on vLLM's build for processors, through Antiphon and without it, on this machine, in one run.

    python -m benchmarks.vllm [--quick] [--only PARTS] [--dtype KIND] [--eager] [--install] [--fresh]
                            [--out FOLDER]

vLLM is installed into `build/vllm` at the first run, which takes a network and 3 GB; `--install` does that
alone, and prints where its program is. The bundled model is written as a folder of safetensors. The sides
take turns. A run that is cut off goes on where it stopped. A full run writes its results to
`benchmarks/results`; a quick one, or one of some parts only, shows them alone.
"""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from benchmarks import runs
from benchmarks.chat import quality
from benchmarks.chat.loads import clients
from benchmarks.chat.plan import Plan
from benchmarks.chat.values import Agreement, Round, Row
from benchmarks.journal import Journal
from benchmarks.vllm import checks, environment, house, tables
from benchmarks.vllm.contract import contract
from benchmarks.vllm.sides import NAMES, Lineup
from benchmarks.vllm.values import (
    ANTIPHON,
    BARE,
    KIND,
    PARTS,
    SIDES,
    Contract,
    Forms,
    Kept,
    Left,
    Results,
    Start,
)

PACKAGES = ("antiphon", "aiohttp", "uvicorn", "gguf")
FULL = Plan(clients=(1, 8, 32), rounds=3, answer=64, questions=20)
QUICK = Plan(clients=(1, 8), rounds=1, least_requests=2, answer=16, questions=4)
FORMS = 5


def main() -> None:
    given = _arguments()
    console = runs.console()
    program = environment.installed(runs.BUILD / KIND)
    if given.install:
        console.print(str(program), soft_wrap=True)
        return
    options = {"dtype": given.dtype} | ({"enforce_eager": True} if given.eager else {})
    journal = runs.journal(KIND, given, console, PACKAGES, environment.version(), options)
    lineup = Lineup(program, options, runs.BUILD / KIND / "house")
    found = asyncio.run(_run(given, QUICK if given.quick else FULL, journal, lineup))
    tables.show(console, found)
    runs.finish(given, console, journal, found.save, PARTS)


async def _run(given: argparse.Namespace, plan: Plan, journal: Journal, lineup: Lineup) -> Results:
    runs.end_with_sigterm()
    found = Results(
        **runs.about(KIND, PACKAGES),
        vllm=environment.version(),
        options=lineup.options,
        plan={"prompt": plan.prompt, "answer": plan.answer, "rounds": plan.rounds},
    )
    try:
        for part in PARTS:
            if part in given.only:
                found = msgspec.structs.replace(found, **await MEASURES[part](lineup, plan, journal))
    finally:
        await asyncio.to_thread(lineup.stop)
    return msgspec.structs.replace(found, written=runs.about(KIND, PACKAGES)["written"])


async def _starts(lineup: Lineup, plan: Plan, journal: Journal) -> dict[str, object]:
    return {"starts": await journal.once("starts", list[Start], lineup.starts)}


async def _clients(lineup: Lineup, plan: Plan, journal: Journal) -> dict[str, object]:
    """Which side is first changes from round to round."""
    rows = []
    for number in plan.clients:
        rounds: dict[str, list[Round]] = {side: [] for side in SIDES}
        for turn in range(plan.rounds):
            for side in SIDES if turn % 2 else SIDES[::-1]:

                async def measure(side: str = side, number: int = number, turn: int = turn) -> Round:
                    for one in SIDES:
                        await lineup.target(one)
                    return await clients(await lineup.target(side), plan, number, f"{number}-{turn}")

                step = f"{number} clients, round {turn}: {side}"
                rounds[side].append(await journal.once(step, Round, measure))
        rows += [Row(load="clients", clients=number, side=side, rounds=rounds[side]) for side in SIDES]
    return {"rows": rows}


async def _answers(lineup: Lineup, plan: Plan, journal: Journal) -> dict[str, object]:
    async def measure() -> Agreement:
        asked = quality.questions(plan.questions)
        ours, theirs = [await quality.answers(await lineup.target(side), asked) for side in (ANTIPHON, BARE)]
        return quality.agreement(ANTIPHON, ours, theirs)

    return {"agreement": await journal.once("answers", Agreement, measure)}


async def _checks(lineup: Lineup, plan: Plan, journal: Journal) -> dict[str, object]:
    async def kept() -> Kept:
        return await checks.kept(await lineup.target(ANTIPHON))

    async def left() -> Left:
        return await checks.left(await lineup.target(ANTIPHON), house.SLOTS)

    async def forms() -> Forms:
        return await checks.forms(await lineup.target(ANTIPHON), FORMS)

    return {
        "kept": await journal.once("prompts that are kept", Kept, kept),
        "left": await journal.once("clients that leave", Left, left),
        "forms": await journal.once("answers of a form", Forms, forms),
    }


async def _contract(lineup: Lineup, plan: Plan, journal: Journal) -> dict[str, object]:
    async def measure() -> Contract:
        await asyncio.to_thread(lineup.stop)
        told = environment.environment(house.cores())
        return await asyncio.to_thread(contract, lineup.program, lineup.options, told)

    return {"contract": await journal.once("the contract of engines", Contract, measure)}


MEASURES = {
    "starts": _starts,
    "clients": _clients,
    "answers": _answers,
    "checks": _checks,
    "contract": _contract,
}


def _arguments() -> argparse.Namespace:
    parser = runs.parser(KIND, __doc__.splitlines()[0], PARTS, "one short round: ten minutes")
    parser.add_argument("--dtype", choices=tuple(NAMES), default="bfloat16", help="numbers to compute in")
    parser.add_argument("--eager", action="store_true", help="have vLLM compile nothing")
    parser.add_argument("--install", action="store_true", help="install vLLM, and do no more")
    return parser.parse_args()


if __name__ == "__main__":
    main()
