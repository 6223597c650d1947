"""What the organization's usage cost, and its instances: by day or hour and group, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from antiphon.api.exchange import Exchange
from antiphon.catalogue.prices import NANO, dollars
from antiphon.console.charts import Chart, stacked
from antiphon.console.reports import Asked, Report, ReportPages, places
from antiphon.ledger.usage import CostResult, costs
from antiphon.money import money

EVERYTHING = "costs"


class CostPages(ReportPages[CostResult]):
    name = "costs"
    tells = "What usage and instances cost"
    groups = ("item", "model", "project", "key", "member")
    ask = staticmethod(costs)

    async def page(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        rows = list(_rows(asked, report))
        sums: Counter[str] = Counter()
        for _, name, result in rows:
            sums[name] += result.amount
        charts = _charts(asked, report, sums.total())
        found = {"rows": rows, "sums": sums.most_common(), "total": sums.total(), "charts": charts}
        await self._show(exchange, asked, **found)

    async def table(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        headings = ["Quantity", "Unit"] if asked.group == "item" else []
        lines = (_line(asked, *row) for row in _rows(asked, report))
        await self._answer_csv(exchange, asked, [*headings, "US dollars"], lines)


def _rows(asked: Asked, report: Report[CostResult]) -> Iterator[tuple[str, str, CostResult]]:
    """When, the group, and what it cost then."""
    for bucket in report.buckets:
        for result in bucket.results:
            yield asked.when(bucket.start), report.group(result), result


def _line(asked: Asked, when: str, name: str, result: CostResult) -> list[object]:
    group: list[object] = [name] if asked.group else []
    quantity = [result.quantity, result.unit] if asked.group == "item" else []
    return [when, *group, *quantity, dollars(result.amount)]


def _charts(asked: Asked, report: Report[CostResult], total: int) -> list[Chart]:
    if not total:
        return []
    by = f" by {asked.by}" + (f" and {asked.heading.lower()}" if asked.group else "")
    said = f"Costs{by}, {asked.span}: {money(total)} in all."
    label = f"{said} The table below has the numbers."
    found = [(when, name or EVERYTHING, result.amount) for when, name, result in _rows(asked, report)]
    looks = report.looks if asked.group else {EVERYTHING: 0}
    series = stacked(places(asked, report), [one for one in found if one[2]], looks, money, NANO)
    return [Chart(kind="bars", title="Costs", label=label, y_title="US dollars", prefix="$", series=series)]
