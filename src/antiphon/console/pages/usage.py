"""What the organization used: requests, tokens and seconds of sound, by day or hour and group."""

from __future__ import annotations

from collections.abc import Iterator

from antiphon.api.exchange import Exchange
from antiphon.api.routes import Route
from antiphon.console import reports
from antiphon.console.charts import Chart, Series, stacked
from antiphon.console.reports import Asked, Report
from antiphon.console.services import Services
from antiphon.console.shell import Shell, number
from antiphon.console.tables import answer_csv
from antiphon.ledger.usage import UsageResult, usage

COUNTS = {
    "requests": "Requests",
    "input_tokens": "Input tokens",
    "cached_tokens": "of these cached",
    "output_tokens": "Output tokens",
    "seconds": "Seconds of sound",
}
GROUPS = ("model", "project", "key", "member")


class UsagePages:
    def __init__(self, shell: Shell, services: Services) -> None:
        self._shell = shell
        self._database = services.database
        self._clock = services.clock

    def rows(self) -> list[Route]:
        page = self._shell.page
        return [
            page("/usage", self.page, "org.read", "What was used."),
            page("/usage/table.csv", self.table, "org.read", "What was used, as CSV."),
        ]

    async def page(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        totals = {name: sum(row[2][name] for row in _rows(asked, report)) for name in COUNTS}
        await self._shell.show(
            exchange,
            "usage.html",
            asked=asked,
            ranges=reports.ranges(),
            groupings=[("", "Everything"), *((name, reports.GROUPS[name][1]) for name in GROUPS)],
            headings=COUNTS,
            totals=totals,
            rows=list(_rows(asked, report)),
            charts=_charts(asked, report, totals),
        )

    async def table(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        grouped = [asked.heading] if asked.group else []
        headings = ["Day" if asked.by == "day" else "Hour (UTC)", *grouped, *COUNTS.values()]
        lines = (
            [when, *([name] if asked.group else []), *counts.values()]
            for when, name, counts in _rows(asked, report)
        )
        await answer_csv(exchange, f"usage-{asked.first}-{asked.last}.csv", headings, lines)

    async def _read(self, exchange: Exchange) -> tuple[Asked, Report[UsageResult]]:
        asked = reports.asked(exchange, self._clock(), GROUPS)
        organization_id = exchange.known_caller.organization_id
        return asked, await reports.read(self._database, organization_id, asked, usage)


def _rows(asked: Asked, report: Report[UsageResult]) -> Iterator[tuple[str, str, dict[str, int]]]:
    """When, the group, and what it used then."""
    for bucket in report.buckets:
        for result in bucket.results:
            counts = {name: getattr(result, name) for name in COUNTS}
            yield asked.when(bucket.start), report.group(result), counts


def _charts(asked: Asked, report: Report[UsageResult], totals: dict[str, int]) -> list[Chart]:
    """Tokens and requests, and sound if there was any; nothing of nothing."""
    tokens = totals["input_tokens"] + totals["output_tokens"]
    requests, seconds = _series(asked, report, "requests"), _series(asked, report, "seconds")
    found = [
        _chart(asked, "Tokens", "tokens", tokens, _tokens(asked, report)),
        _chart(asked, "Requests", "requests", totals["requests"], requests),
        _chart(asked, "Sound", "seconds of sound", totals["seconds"], seconds),
    ]
    return [chart for chart in found if chart is not None]


def _chart(asked: Asked, title: str, unit: str, total: int, series: list[Series]) -> Chart | None:
    if not total:
        return None
    by = f" by {asked.by}" + (f" and {asked.heading.lower()}" if asked.group else "")
    said = f"{title}{by}, from {asked.first} to {asked.last}: {number(total)} {unit} in all."
    label = f"{said} The table below has the numbers."
    return Chart(kind="bars", title=title, label=label, y_title=unit, series=series)


def _tokens(asked: Asked, report: Report[UsageResult]) -> list[Series]:
    """Of each group; of everything, by what is paid for them."""
    x = [asked.when(bucket.start) for bucket in report.buckets]
    found: list[tuple[str, str, int]] = []
    for when, name, counts in _rows(asked, report):
        whole = counts["input_tokens"] + counts["output_tokens"]
        parts = {
            "input": counts["input_tokens"] - counts["cached_tokens"],
            "cached input": counts["cached_tokens"],
            "output": counts["output_tokens"],
        }
        found += [(when, part, n) for part, n in ({name: whole} if asked.group else parts).items() if n]
    return stacked(x, found, number)


def _series(asked: Asked, report: Report[UsageResult], count: str) -> list[Series]:
    x = [asked.when(bucket.start) for bucket in report.buckets]
    found = [(when, name or count, counts[count]) for when, name, counts in _rows(asked, report)]
    return stacked(x, [one for one in found if one[2]], number)
