"""Plots of instances, from values as the ledger gives them."""

from __future__ import annotations

from datetime import date

import msgspec

from antiphon.catalogue.instances import Instance
from antiphon.console.pages import dedicated_plots as plots
from antiphon.ledger.advice import Day, Offer, advise
from antiphon.ledger.duration import Outage, Span
from antiphon.operations.timeline import Timeline

NOW, DAY = 1_800_000_000, 86_400
ONE = Instance(
    id="dedicated_1",
    organization_id="org-1",
    name="nights",
    snapshot="m",
    engine="speech",
    context=0,
    load=4,
    replicas=1,
    spill_over=False,
    cpus=1,
    memory=1,
    gpus=0,
    begins_at=NOW - 100,
    ends_at=None,
    created_at=NOW - 100,
    server="here",
)


def test_a_calendar_shows_the_last_month_and_tells_names_apart() -> None:
    other = msgspec.structs.replace(ONE, id="dedicated_2")
    known = {"dedicated_1": ONE, "dedicated_2": other}
    open_end = Timeline("dedicated_1", Span(NOW - 40 * DAY), [Span(NOW - 40 * DAY, NOW)], [])
    away = Timeline("dedicated_2", Span(NOW - DAY, NOW + DAY), [], [Outage(NOW - DAY, NOW)])
    chart = plots.calendar([open_end, away], known, NOW)
    assert chart is not None and {span.row for span in chart.spans} == {"nights (…ed_1)", "nights (…ed_2)"}
    assert {(span.kind, span.begin, span.end) for span in chart.spans} == {
        ("reserved", NOW - plots.PAST, NOW + plots.AHEAD),
        ("ready", NOW - plots.PAST, NOW),
        ("reserved", NOW - DAY, NOW + DAY),
        ("away", NOW - DAY, NOW),
    }
    over = Timeline("dedicated_1", Span(NOW - 60 * DAY, NOW - 50 * DAY), [], [])
    assert plots.calendar([over], known, NOW) is None


def test_both_lines_meet_at_break_even() -> None:
    offer = Offer(name="load 4", price=10**9, throughput=100, latency=1)
    days = [Day(date(2027, 1, 1), 10**9, 10_000)]
    advice = advise(days, [offer], peak=5, latency=10, today=date(2027, 1, 2))
    chart = plots.break_even("m", advice)
    assert chart is not None and advice.break_even == 240_000
    shared, own = chart.series
    assert (shared.x, shared.y, own.y) == ([0, 480_000], [0.0, 48.0], [24.0, 24.0])
    assert [(mark.x, mark.label) for mark in chart.marks] == [(240_000, "break-even"), (10_000, "used now")]
    assert plots.break_even("m", advise(days, [], peak=5, latency=10, today=date(2027, 1, 2))) is None
