"""What the organization used: requests, tokens and seconds of sound, by day or hour and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from antiphon.api.exchange import Exchange
from antiphon.console.charts import Chart, Series, stacked
from antiphon.console.reports import Asked, Report, ReportPages, places
from antiphon.console.written import counted, number
from antiphon.ledger.usage import UsageResult, usage

COUNTS = {
    "requests": "Requests",
    "input_tokens": "Input tokens",
    "cached_tokens": "of these cached",
    "output_tokens": "Output tokens",
    "seconds": "Seconds of sound",
}

UNGROUPED = {
    name: look for look, name in enumerate(("input", "cached input", "output", "requests", "seconds"))
}


class UsagePages(ReportPages[UsageResult]):
    name = "usage"
    tells = "What was used"
    groups = ("model", "project", "key", "member")
    ask = staticmethod(usage)

    async def page(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        rows = list(_rows(asked, report))
        totals = {name: sum(counts[name] for _, _, counts in rows) for name in COUNTS}
        charts = _charts(asked, report, totals)
        await self._show(exchange, asked, headings=COUNTS, totals=totals, rows=rows, charts=charts)

    async def table(self, exchange: Exchange) -> None:
        asked, report = await self._read(exchange)
        lines = (
            [when, *([name] if asked.group else []), *counts.values()]
            for when, name, counts in _rows(asked, report)
        )
        await self._answer_csv(exchange, asked, list(COUNTS.values()), lines)


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
        _chart(asked, "Tokens", "token", tokens, _tokens(asked, report)),
        _chart(asked, "Requests", "request", totals["requests"], requests),
        _chart(asked, "Sound", "second", totals["seconds"], seconds),
    ]
    return [chart for chart in found if chart is not None]


def _chart(asked: Asked, title: str, unit: str, total: int, series: list[Series]) -> Chart | None:
    if not total:
        return None
    by = f" by {asked.by}" + (f" and {asked.heading.lower()}" if asked.group else "")
    said = f"{title}{by}, {asked.span}: {counted(total, unit)} in all."
    label = f"{said} The table below has the numbers."
    return Chart(kind="bars", title=title, label=label, y_title=f"{unit}s", series=series)


def _tokens(asked: Asked, report: Report[UsageResult]) -> list[Series]:
    """Of each group; of everything, by what is paid for them."""
    found: list[tuple[str, str, int]] = []
    for when, name, counts in _rows(asked, report):
        whole = counts["input_tokens"] + counts["output_tokens"]
        parts = {
            "input": counts["input_tokens"] - counts["cached_tokens"],
            "cached input": counts["cached_tokens"],
            "output": counts["output_tokens"],
        }
        found += [(when, part, n) for part, n in ({name: whole} if asked.group else parts).items() if n]
    return _stacked(asked, report, found)


def _series(asked: Asked, report: Report[UsageResult], count: str) -> list[Series]:
    found = [(when, name or count, counts[count]) for when, name, counts in _rows(asked, report)]
    return _stacked(asked, report, [one for one in found if one[2]])


def _stacked(
    asked: Asked, report: Report[UsageResult], found: Sequence[tuple[str, str, int]]
) -> list[Series]:
    return stacked(places(asked, report), found, report.looks if asked.group else UNGROUPED, number)
