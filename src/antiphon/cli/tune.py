"""`antiphon dedicated tune`: how much an instance carries at each load, measured, and the load that suits."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich import progress as bars
from rich.console import Console

from antiphon.cli.administration import PIPE_WIDTH, Organization
from antiphon.cli.options import BaseUrl, ExistingHome, Json, server_address
from antiphon.cli.output import CommandFailed, ExitCode, err_console, line, try_file, unwritable

if TYPE_CHECKING:
    from antiphon.cli.tuning import Shown, Tuned, Wanted
    from antiphon.ledger.levels import Objective

MOST = 256
SHORT = 0.9
"""Of answers that are shorter than this share of what was wanted, something is said."""


class Of(StrEnum):
    """What is waited for."""

    ANSWER = "answer"
    FIRST_TOKEN = "first-token"


class Percentile(StrEnum):
    """Of 100 requests, so many."""

    P50 = "50"
    P90 = "90"
    P95 = "95"
    P99 = "99"


Latency = Annotated[
    float | None,
    typer.Option("--latency", min=0.001, metavar="SECONDS", help="The longest wait that is wanted."),
]
Percent = Annotated[Percentile, typer.Option("--percentile", help="Of 100 requests, so many are to keep it.")]
What = Annotated[Of, typer.Option("--of", help="What is waited for: the whole answer, or its first token.")]


Loads = Annotated[
    str, typer.Option(help="Loads to measure, as 1,2,4,8; by default up to what its engine usually serves.")
]
Requests = Annotated[
    int,
    typer.Option(
        min=1, max=10_000, help="Newest requests whose lengths are taken, and asked for at each load."
    ),
]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How old those requests may be.")]
Seconds = Annotated[
    float, typer.Option(min=1, max=86_400, help="Longest in which requests begin at one load.")
]
Png = Annotated[
    Path | None,
    typer.Option("--png", metavar="FILE", dir_okay=False, writable=True, help="Draw it into this file, too."),
]
Apply = Annotated[
    bool, typer.Option("--apply/--no-apply", help="Give the instance the load that is recommended.")
]


def tune(
    id: Annotated[str, typer.Argument(help="The instance, by its id.")],
    org: Organization = "default",
    latency: Latency = None,
    percentile: Percent = Percentile.P99,
    of: What = Of.ANSWER,
    loads: Loads = "",
    requests: Requests = 100,
    days: Days = 30,
    seconds: Seconds = 120,
    png: Png = None,
    apply: Apply = True,
    project: Annotated[str, typer.Option(help="The project whose key asks, for the time.")] = "default",
    as_json: Json = False,
    base_url: BaseUrl = None,
    home: ExistingHome = None,
) -> None:
    """Measure an instance at one load after another: tokens a second against latency.

    A running server is asked for answers as long as those of the organization's own requests. With --latency
    the load is recommended, and applied, that carries most within it. For the time the instance has the
    largest load, and its requests do not spill over; Ctrl-C and SIGTERM give it back what it had. The exit
    code is 1 if no load keeps the latency.
    """
    # Imported here, since the database and the HTTP library would slow down every other command.
    from antiphon.cli import load_chart
    from antiphon.cli.tuning import Tuned, Wanted

    if png:
        load_chart.require_library()
        try_file(png)
    objective = _objective(latency, percentile, of)
    wanted = Wanted(
        id=id,
        project=project,
        loads=parsed_loads(loads),
        requests=requests,
        days=days,
        seconds=seconds,
        objective=objective if latency is not None else None,
        apply=apply,
    )
    found = Tuned()
    interrupted = _interrupted(wanted, found, server_address(base_url), org, home)
    if png and found.levels:
        _draw(png, found, objective)
    if as_json:
        typer.echo(_json(found, wanted, interrupted))
    else:
        _show(found, wanted, objective)
    if interrupted:
        typer.echo(line("interrupted: this is what was measured so far"), err=True)
        raise typer.Exit(ExitCode.INTERRUPTED)
    if wanted.objective and not found.best:
        raise typer.Exit(ExitCode.FAILED)


def parsed_loads(text: str) -> tuple[int, ...]:
    """The loads that were written, each once, the smallest first. Raises `CommandFailed`."""
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part[:9]) <= MOST for part in parts):
        raise CommandFailed(
            f"'{text}' are no loads",
            fix=f"write --loads 1,2,4,8, each at most {MOST}",
            exit_code=ExitCode.USAGE,
        )
    return tuple(sorted({int(part) for part in parts}))


def _objective(latency: float | None, percentile: Percentile, of: Of) -> Objective:
    """Without a latency there is none that is not met."""
    from antiphon.ledger.levels import Objective

    seconds = math.inf if latency is None else latency
    return Objective(
        seconds=seconds, percentile=int(percentile), of="answer" if of is Of.ANSWER else "first_token"
    )


def _interrupted(wanted: Wanted, found: Tuned, address: str, org: str, home: str | None) -> bool:
    """Measure, with a progress bar on stderr. Gives whether somebody broke it off."""
    from antiphon.cli import tuning
    from antiphon.cli.administration import opened_house
    from antiphon.cli.client import Client

    async def run(shown: Shown) -> None:
        _cancelled_by_signals()
        async with opened_house(home, org) as house:
            await tuning.run(house, lambda key: Client(address, key), wanted, found, shown)

    with _shown() as shown:
        try:
            asyncio.run(run(shown))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return True
    return False


def _cancelled_by_signals() -> None:
    """Let the signals of an end, or of a terminal that is closed, end this task as Ctrl-C does: once."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as with nohup
            end = partial(_cancel, task)
            asyncio.get_running_loop().add_signal_handler(number, end)


def _cancel(task: asyncio.Task[Any]) -> None:
    # A second signal must not break off what gives the instance back what it had.
    if not task.cancelling():
        task.cancel()


@contextmanager
def _shown() -> Iterator[Shown]:
    from antiphon.cli.tuning import Shown

    console = err_console()
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    # stdout is left alone: the bar would otherwise take what is printed there to stderr.
    with bars.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("beginning", total=None)
        yield Shown(
            lambda text: progress.update(task, description=text),
            lambda done, total: progress.update(task, completed=done, total=total),
        )


def _draw(path: Path, found: Tuned, objective: Objective) -> None:
    from antiphon.cli import load_chart

    assert found.instance is not None
    title = f"{found.instance.snapshot}: throughput and latency by load"
    try:
        load_chart.write_png(path, found.levels, objective, found.best, title)
    except OSError as problem:
        raise unwritable(path, problem) from problem


def _show(found: Tuned, wanted: Wanted, objective: Objective) -> None:
    from antiphon.cli import load_chart

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if not found.levels:
        return
    console.print(load_chart.table(found.levels, found.best))
    for text in ["", *load_chart.drawn(found.levels, objective), "", *_remarks(found, wanted)]:
        console.print(text, markup=False, highlight=False)


def _remarks(found: Tuned, wanted: Wanted) -> Iterator[str]:
    """What it was measured with, and what follows."""
    from antiphon.cli.load_chart import NAMES
    from antiphon.cli.measuring import means

    prompt, answer = means(found.mix)
    lengths = f"prompts of {prompt:.0f} and answers of {answer:.0f} tokens on average"
    if found.own:
        yield f"Asked as in the newest {len(found.mix)} requests of the organization: {lengths}."
    else:
        yield f"The organization asked nothing of it in {wanted.days} days. Asked instead: {lengths}."
    came = max((level.answer_tokens for level in found.levels), default=0.0)
    if came < SHORT * answer:
        yield f"Answers ended after {came:.0f} tokens: they are counted as if they had gone on as they came."
    for level in found.levels:
        if not level.answered:
            yield f"At a load of {level.load} nothing was answered in time: larger --seconds would show more."
    if objective := wanted.objective:
        aim = f"{objective.percentile} of 100 within {objective.seconds:g} s of the {NAMES[objective.of]}"
        yield f"Recommended load: {found.best.load} ({aim})." if found.best else f"No load keeps {aim}."
    if found.instance and found.load == found.instance.load:
        yield f"The instance has its load of {found.load}, as before."
    else:
        yield f"The instance is given a load of {found.load}."


def _json(found: Tuned, wanted: Wanted, interrupted: bool) -> str:
    from antiphon.cli.measuring import means

    instance = found.instance
    prompt, answer = means(found.mix)
    content: dict[str, Any] = {
        "id": wanted.id,
        "snapshot": instance.snapshot if instance else None,
        "engine": instance.engine if instance else None,
        "replicas": instance.replicas if instance else None,
        "mix": {
            "source": "ledger" if found.own else "default",
            "requests": len(found.mix),
            "prompt_tokens": prompt,
            "answer_tokens": answer,
        },
        "objective": wanted.objective,
        "levels": list(found.levels),
        "recommended": found.best.load if found.best else None,
        "load": found.load,
        "interrupted": interrupted,
    }
    return msgspec.json.format(msgspec.json.encode(content)).decode()
