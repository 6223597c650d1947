"""Plots of dedicated instances: their times, what they carry at each load, and from when on one pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from antiphon.catalogue.instances import Instance
from antiphon.catalogue.prices import NANO
from antiphon.console.charts import Chart, Mark, Series, Span
from antiphon.console.written import counted, moment, number
from antiphon.ledger.advice import Advice
from antiphon.ledger.levels import Level, Of
from antiphon.ledger.measurements import Measurement
from antiphon.money import money, price
from antiphon.operations.timeline import Timeline

DAY = 86_400
PAST, AHEAD = 30 * DAY, 14 * DAY
"""What is shown of the time before now, and of instances without an end after it."""
PERCENTILE = 99
WAITS: Mapping[Of, str] = {"answer": "whole answer", "first_token": "first token"}
_MILLISECONDS = 1000


def calendar(found: Sequence[Timeline], instances: Mapping[str, Instance], now: int) -> Chart | None:
    """When instances are reserved, were ready and were away, from a month ago on."""
    shown = [one for one in found if one.instance_id in instances and not _long_over(one, now)]
    if not shown:
        return None
    names = Counter(instances[one.instance_id].name for one in shown)
    spans: list[Span] = []
    for one in shown:
        name = instances[one.instance_id].name
        row = f"{name} (…{one.instance_id[-4:]})" if names[name] > 1 else name
        spans += [span for span in _spans(one, row, now) if span.begin < span.end]
    whose = "1 instance is" if len(shown) == 1 else f"{len(shown)} instances are"
    label = f"When {whose} reserved, and when replicas were ready or away. The table below has the times."
    marks = [Mark(now * _MILLISECONDS, "now")]
    return Chart(kind="spans", title="Calendar (UTC)", label=label, spans=spans, marks=marks)


def _long_over(one: Timeline, now: int) -> bool:
    return one.reserved.end is not None and one.reserved.end <= now - PAST


def _spans(one: Timeline, row: str, now: int) -> Iterator[Span]:
    first = now - PAST
    begin, end = one.reserved.begin, one.reserved.end
    until = "until it is ended" if end is None else f"to {moment(end)}"
    last = max(now, begin) + AHEAD if end is None else end
    told = f"reserved from {moment(begin)} {until}"
    yield Span(row=row, kind="reserved", begin=max(begin, first), end=last, told=told)
    for ready in one.ready:
        to = now if ready.end is None else ready.end
        told = f"ready from {moment(ready.begin)} to {moment(to)}"
        yield Span(row=row, kind="ready", begin=max(ready.begin, first), end=to, told=told)
    for away in one.away:
        told = f"away from {moment(away.begin)} to {moment(away.end)}, credited"
        yield Span(row=row, kind="away", begin=max(away.begin, first), end=away.end, told=told)


def load_curve(measured: Measurement) -> Chart:
    """Tokens a second against the wait, load by load."""
    series = [_waits(measured.levels, of) for of in WAITS]
    label = (
        f"What a replica of {measured.snapshot} carried at loads of "
        f"{', '.join(str(level.load) for level in measured.levels)}. The table below has the numbers."
    )
    return Chart(
        kind="lines",
        title=f"Load curve of {measured.snapshot}",
        label=label,
        x_title=f"seconds, p{PERCENTILE}",
        y_title="tokens a second of a replica",
        series=[one for one in series if one.x],
    )


def _waits(levels: Sequence[Level], of: Of) -> Series:
    found = [(wait, one) for one in levels if (wait := one.latency(of, PERCENTILE)) is not None]
    return Series(
        name=WAITS[of],
        look=list(WAITS).index(of),
        x=[wait for wait, _ in found],
        y=[one.throughput for _, one in found],
        told=[f"load {one.load}: {one.throughput:.1f} tokens/s, {wait:.2f} s" for wait, one in found],
        beside=[str(one.load) for _, one in found],
    )


def break_even(snapshot: str, advice: Advice) -> Chart | None:
    """What a day costs by its tokens, shared and on instances; None where there is nothing to compare."""
    if advice.plan is None or advice.break_even is None:
        return None
    most = 2 * max(advice.break_even, advice.tokens, 1)
    shared, own = advice.price * most // 1000, advice.plan.cost
    replicas = counted(advice.plan.replicas, "replica")
    label = (
        f"What a day of {snapshot} costs by its tokens: shared {price(advice.price)} for 1,000 tokens, "
        f"{replicas} {money(own)}. Both cost the same at {number(advice.break_even)} tokens a day."
    )
    return Chart(
        kind="lines",
        title=f"Break-even of {snapshot}",
        label=label,
        x_title="tokens a day",
        y_title="US dollars a day",
        prefix="$",
        series=[
            _line("shared service", 0, most, (0, shared)),
            _line(f"dedicated, {replicas}", 1, most, (own, own)),
        ],
        marks=[
            Mark(advice.break_even, "break-even"),
            *([Mark(advice.tokens, "used now")] if advice.tokens else []),
        ],
    )


def _line(name: str, look: int, most: int, costs: tuple[int, int]) -> Series:
    return Series(
        name=name,
        look=look,
        x=[0, most],
        y=[cost / NANO for cost in costs],
        told=[
            f"{number(tokens)} tokens: {money(cost)}" for tokens, cost in zip((0, most), costs, strict=True)
        ],
    )
