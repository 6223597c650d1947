"""The first page of the console."""

from __future__ import annotations

from antiphon.console.pages.overview import Bar, bars
from console_service import House


async def test_it_shows_what_there_is_and_what_to_do_next(house: House) -> None:
    async with house.visitor("owner") as visitor:
        text = await visitor.seen("/")
        assert "gpt-3.5-turbo" in text and "/v1/chat/completions" in text and "playground" in text
        assert (
            "make a key" in text and '<div class="figure">0</div>' in text and "Latest requests" not in text
        )
        await house.world.key(house.realm)
        text = await visitor.seen("/")
        assert 'with your <a href="/keys">key</a>' in text and "make a key" not in text
        await house.world.key(house.realm, "another")
        assert 'with one of your 2 <a href="/keys">keys</a>' in await visitor.seen("/")


async def test_it_shows_what_was_asked_lately_and_what_this_month_cost(house: House) -> None:
    now = int(house.world.wall)
    await house.use(now - 60, requests=1200, output_tokens=9, output_cost=1_500_000_000)
    await house.use(now - 13 * 86_400, requests=34, key_id="key_2")
    await house.use(now - 40 * 86_400, requests=500, output_tokens=9, output_cost=10**9)
    async with house.visitor("reader") as visitor:
        text = await visitor.seen("/")
    assert '<div class="figure">1,234</div>' in text and '<div class="figure">$1.50</div>' in text
    assert text.count("<rect") == 14 and ": 1,200 requests</title>" in text


def test_the_highest_day_has_all_the_room() -> None:
    made = bars([("2026-11-01", 0), ("2026-11-02", 10), ("2026-11-03", 5)])
    assert [(one.x, one.height) for one in made] == [(0, 1), (8, 40), (16, 20)]
    assert made[1] == Bar(8, 40, "2026-11-02: 10 requests") and bars([]) == []
    assert bars([("2026-11-02", 1)])[0].words == "2026-11-02: 1 request"
