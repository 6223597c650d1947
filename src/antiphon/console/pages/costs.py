"""What the organization's usage cost, and its instances: by day or hour and group, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.catalogue.prices import NANO, dollars
from antiphon.console import reports
from antiphon.console.charts import Chart, stacked
from antiphon.console.reports import Asked, Report
from antiphon.console.services import Services
from antiphon.console.shell import Shell, money
from antiphon.console.tables import answer_csv
from antiphon.ledger.usage import CostResult, costs

GROUPS = ("item", "model", "project", "key", "member")


class CostPages:
    def __init__(self, shell: Shell, services: Services) -> None:
        self._shell = shell
        self._database = services.database
        self._clock = services.clock

    def rows(self) -> list[Route]:
        page = self._shell.page
        return [
            page("/costs", self.page, "org.read", "What usage and instances cost."),
            page("/costs/table.csv", self.table, "org.read", "What usage and instances cost, as CSV."),
        ]

    async def page(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        rows = list(_rows(asked, report))
        sums: Counter[str] = Counter()
        for _, name, result in rows:
            sums[name] += result.amount
        await self._shell.show(
            exchange,
            "costs.html",
            asked=asked,
            ranges=reports.ranges(),
            groupings=[("", "Everything"), *((name, reports.GROUPS[name][1]) for name in GROUPS)],
            rows=rows,
            sums=sums.most_common(),
            total=sums.total(),
            charts=_charts(asked, report, sums.total()),
        )

    async def table(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        headings = ["Day" if asked.by == "day" else "Hour (UTC)"]
        headings += [asked.heading] if asked.group else []
        headings += ["Quantity", "Unit"] if asked.group == "item" else []
        lines = (_line(asked, *row) for row in _rows(asked, report))
        name = f"costs-{asked.first}-{asked.last}.csv"
        await answer_csv(exchange, name, [*headings, "US dollars"], lines)

    async def _read(self, exchange: Exchange) -> tuple[Asked, Report[CostResult]]:
        asked = reports.asked(exchange, self._clock(), GROUPS)
        organization_id = exchange.known_caller.organization_id
        return asked, await reports.read(self._database, organization_id, asked, costs)


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
    said = f"Costs{by}, from {asked.first} to {asked.last}: {money(total)} in all."
    label = f"{said} The table below has the numbers."
    x = [asked.when(bucket.start) for bucket in report.buckets]
    found = [(when, name or "costs", result.amount) for when, name, result in _rows(asked, report)]
    series = stacked(x, [one for one in found if one[2]], money, NANO)
    return [Chart(kind="bars", title="Costs", label=label, y_title="US dollars", prefix="$", series=series)]
