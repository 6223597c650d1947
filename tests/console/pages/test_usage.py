"""The page of usage: figures, plots, table and CSV say the same."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from console_service import House

DAY = 86_400
EVIL = "=HYPERLINK(1)</script><b>"


async def used(house: House) -> None:
    """Two days of chat of two keys, and a recording; and what somebody else used."""
    one, _ = await house.world.key(house.realm, "bot")
    two, _ = await house.world.key(house.realm, EVIL)
    now = int(house.world.wall)
    tokens = {"input_tokens": 1000, "cached_tokens": 200, "output_tokens": 34}
    await house.use(now, key_id=one.id, requests=3, **tokens)
    await house.use(now - DAY, key_id=two.id, requests=4, input_tokens=5)
    await house.use(now - 40 * DAY, key_id=two.id, requests=100)
    await house.use(now, key_id=one.id, task="speech", requests=1, seconds=61)
    await house.use(now, organization_id="org-2", key_id="key_9", requests=5000)


def charts(text: str) -> list[dict[str, object]]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    return [json.loads(one) for one in found]


async def test_it_shows_totals_plots_and_the_same_numbers_below(house: House) -> None:
    await used(house)
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/usage?group=key")
        figures = re.findall(r'<div class="figure">([^<]*)</div>', text)
        assert figures == ["8", "1,005", "34", "61"] and "200 of them cached" in text
        tokens, requests, sound = charts(text)
        assert [one["name"] for one in tokens["series"]] == [EVIL, "bot"]  # type: ignore[attr-defined]
        assert sum(sum(one["y"]) for one in requests["series"]) == 8  # type: ignore[attr-defined]
        assert "61 seconds in all" in str(sound["label"])
        assert EVIL not in text and "=HYPERLINK(1)&lt;/script&gt;&lt;b&gt;" in text
        assert "/console/charts.js" in text and "style=" not in text


@pytest.mark.parametrize(
    ("group", "told"),
    [("", ["input", "cached input", "output"]), ("model", ["chat-1"]), ("project", ["shop"])],
)
async def test_tokens_are_grouped_as_is_wanted(house: House, group: str, told: list[str]) -> None:
    await used(house)
    async with house.visitor("member") as visitor:
        tokens = charts(await visitor.seen(f"/usage?range=7&group={group}"))[0]
        assert [one["name"] for one in tokens["series"]] == told  # type: ignore[attr-defined]


async def test_hours_and_other_days_are_shown(house: House) -> None:
    await used(house)
    async with house.visitor("owner") as visitor:
        assert len(charts(await visitor.seen("/usage?range=7&by=hour"))[0]["series"][0]["x"]) == 16 + 24  # type: ignore[index]
        assert ">108<" in await visitor.seen("/usage?range=90")
        text = await visitor.seen("/usage?range=custom&from=2026-01-01&to=2026-01-02")
        assert "Nothing was used in this time" in text and not charts(text)
        status, text = await visitor.get("/usage?range=custom&from=2026-01-03&to=2026-01-02")
        assert status == 400 and "The last day is before the first." in text


async def test_a_key_has_one_look_in_every_plot_and_range(house: House) -> None:
    await used(house)
    async with house.visitor("reader") as visitor:
        for days, names in (("1", {"bot"}), ("7", {"bot", EVIL}), ("90", {"bot", EVIL})):
            found = charts(await visitor.seen(f"/usage?range={days}&group=key"))
            looks = {(one["name"], one["look"]) for chart in found for one in chart["series"]}  # type: ignore[attr-defined]
            assert looks == {(name, {EVIL: 0, "bot": 1}[name]) for name in names}, days


async def test_today_is_shown_by_the_hour_and_few_days_fill_a_plot(house: House) -> None:
    await used(house)
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/usage?range=1")
        assert len(charts(text)[0]["series"][0]["x"]) == 24 and "on 2027-01-15." in text  # type: ignore[index]
        assert 'aria-label="By"' not in text and "range=7&amp;by=day" in text
        x = charts(await visitor.seen("/usage?range=30"))[0]["series"][0]["x"]  # type: ignore[index]
        assert (len(x), x[-1]) == (7, "2027-01-15")


async def test_the_table_is_downloaded_as_harmless_csv(house: House) -> None:
    await used(house)
    async with house.visitor("reader") as visitor:
        status, text = await visitor.get("/usage/table.csv?range=7&group=key")
        assert status == 200
        heading, *rows = csv.reader(io.StringIO(text))
    assert heading == [
        "Day", "Key", "Requests", "Input tokens", "of these cached", "Output tokens", "Seconds of sound",
    ]  # fmt: skip
    assert rows == [
        ["2027-01-14", f"'{EVIL}", "4", "5", "0", "0", "0"],
        ["2027-01-15", "bot", "4", "1000", "200", "34", "61"],
    ]


async def test_it_is_a_file_of_its_own(house: House) -> None:
    async with house.visitor("owner") as visitor:
        async with visitor._session.get(visitor._root + "/usage/table.csv?range=month") as answer:
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            assert answer.headers["content-disposition"] == (
                'attachment; filename="usage-2027-01-01-2027-01-15.csv"'
            )
    async with house.visitor() as stranger:
        assert (await stranger.get("/usage/table.csv"))[0] == 303
