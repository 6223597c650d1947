"""`antiphon dedicated advise`: whether an instance would be cheaper for an organization, from its books."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli.administration import Organization
from antiphon.cli.credits import nano
from antiphon.cli.options import ExistingHome, Json
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.cli.tune import Latency, Of, Percent, Percentile, What

if TYPE_CHECKING:
    from antiphon.ledger.advice import Plan
    from antiphon.operations.advising import Answer, Question


def advise(
    org: Organization = "default",
    model: Annotated[
        str,
        typer.Option(
            help="A snapshot, or an alias for the one that it means now; by default each that was used."
        ),
    ] = "",
    latency: Latency = None,
    percentile: Percent = Percentile.P99,
    of: What = Of.ANSWER,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Whole days (UTC) that are looked at.")] = 30,
    peak: Annotated[
        int | None,
        typer.Option(min=1, max=10**12, help="Tokens a second; by default those of the busiest minute."),
    ] = None,
    throughput: Annotated[
        int | None,
        typer.Option(
            min=1, max=10**12, help="Tokens a second that a replica carries; by default as measured by tune."
        ),
    ] = None,
    price_per_hour: Annotated[
        str | None, typer.Option(help="US dollars for each replica; by default what models.toml says.")
    ] = None,
    price_per_1k_tokens: Annotated[
        str | None, typer.Option("--price-per-1k-tokens", help="US dollars; by default what they cost.")
    ] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option(min=1, max=10**15, help="What is expected, in the place of what was used.")
    ] = None,
    as_json: Json = False,
    home: ExistingHome = None,
) -> None:
    """Say for each model whether an instance would be cheaper than the shared service, and from when on.

    The days, the costs and the peak are those of the organization's books. Tokens are those of prompts and
    answers together. What an instance carries is what `antiphon dedicated tune` measured last.
    """
    from antiphon.operations.advising import Question

    question = Question(
        model=model,
        days=days,
        latency=latency,
        percentile=int(percentile),
        of="answer" if of is Of.ANSWER else "first_token",
        peak=peak,
        throughput=throughput,
        price_per_hour=_price(price_per_hour),
        price=_price(price_per_1k_tokens),
        tokens_per_day=tokens_per_day,
    )
    answers = asyncio.run(_answers(home, org, question))
    if as_json:
        typer.echo(json.dumps([_row(answer) for answer in answers]))
    else:
        typer.echo("\n\n".join("\n".join(_lines(answer, question)) for answer in answers))


async def _answers(home: str | None, org: str, question: Question) -> list[Answer]:
    # Imported here, since every other command starts without a database.
    from antiphon.cli.administration import opened_house
    from antiphon.operations.advising import Advisor

    async with opened_house(home, org) as house:
        advisor = Advisor(house.database, house.dedicated, house.catalogue, time.time)
        return await advisor.advised(house.organization_id, question)


def _price(text: str | None) -> int | None:
    """Nano-dollars."""
    if text is None:
        return None
    if text.startswith("-"):
        raise CommandFailed("a price cannot be less than nothing", exit_code=ExitCode.USAGE)
    return nano(text)


def _lines(answer: Answer, question: Question) -> Iterator[str]:
    """The advice in words: the verdict first, then what it was made of."""
    advice = answer.advice
    yield f"{answer.snapshot or 'No model was used on a whole day'}: {advice.verdict}."
    grows = f", {_dollars(advice.growth, signed=True)} with every day" if advice.growth else ""
    number = f"{len(answer.days)} whole days" if len(answer.days) > 1 else "1 whole day"
    looked_at = f"{number} until {answer.days[-1].day}"
    span = looked_at if question.tokens_per_day is None else "as expected"
    yield f"  Shared service: {_dollars(advice.shared)} a day{grows} ({span})."
    yield f"  Used: {advice.tokens:,} tokens a day, at {_dollars(advice.price, digits=6)} for 1,000."
    when = f", in the minute of {_minute(answer.busiest.start)}" if answer.busiest else ""
    yield f"  Peak: {answer.peak:,} tokens a second{when}."
    if plan := advice.plan:
        yield f"  Dedicated: {_plan(plan, bool(answer.measured))}."
        if advice.break_even is not None:
            yield f"  Both cost the same at {advice.break_even:,} tokens a day."
    elif answer.offers:
        within = "" if question.latency is None else f" within {question.latency:g} s"
        rooms = [offer.most for offer in answer.offers if offer.most is not None]
        limit = f"; there is room for {min(rooms)} replicas" if rooms else ""
        yield f"  Dedicated: no instance carries that peak{within}{limit}."
    for remark in answer.remarks:
        yield f"  Note: {remark}."


def _plan(plan: Plan, measured: bool) -> str:
    replicas = "1 replica" if plan.replicas == 1 else f"{plan.replicas} replicas"
    of = f" at {plan.offer.name}" if measured and plan.offer.latency else ""
    return f"{replicas}{of}, {_dollars(plan.offer.price)} an hour each: {_dollars(plan.cost)} a day"


def _minute(start: int) -> str:
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} UTC"


def _dollars(amount: int, *, digits: int = 2, signed: bool = False) -> str:
    """Nano-dollars, rounded for people."""
    sign = ("+" if signed else "") if amount >= 0 else "-"
    return f"{sign}${abs(amount) / 10**9:,.{digits}f}"


def _row(answer: Answer) -> dict[str, Any]:
    """Everything, with money as decimal strings."""
    from antiphon.ledger.usage import dollars

    advice, plan = answer.advice, answer.advice.plan
    return {
        "model": answer.snapshot or None,
        "verdict": advice.verdict,
        "day": str(advice.day) if advice.day else None,
        "shared_per_day": f"{dollars(advice.shared):f}",
        "growth_per_day": f"{dollars(advice.growth):f}",
        "tokens_per_day": advice.tokens,
        "price_per_1k_tokens": f"{dollars(advice.price):f}",
        "break_even_tokens_per_day": advice.break_even,
        "peak_tokens_per_second": answer.peak,
        "peak_at": answer.busiest.start if answer.busiest else None,
        "measured_at": answer.measured.measured_at if answer.measured else None,
        "plan": plan
        and {
            "name": plan.offer.name,
            "replicas": plan.replicas,
            "price_per_hour": f"{dollars(plan.offer.price):f}",
            "cost_per_day": f"{dollars(plan.cost):f}",
            "throughput": plan.offer.throughput,
            "latency_ms": plan.offer.latency,
        },
        "days": [
            {"day": str(day.day), "cost": f"{dollars(day.cost):f}", "tokens": day.tokens}
            for day in answer.days
        ],
        "notes": list(answer.remarks),
    }
