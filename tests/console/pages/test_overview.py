"""The first page of the console."""

from __future__ import annotations

from console_service import House


async def test_it_shows_what_there_is_and_what_to_do_next(house: House) -> None:
    await house.world.key(house.realm)
    async with house.visitor("owner") as visitor:
        text = await visitor.seen("/")
        assert "gpt-3.5-turbo" in text and "/v1/chat/completions" in text and "playground" in text
        assert '<div class="figure">1</div>' in text
