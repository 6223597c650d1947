from __future__ import annotations

import asyncio

import pytest

from antiphon.spans import _MOST, Way, begin, request_id, span


async def test_parts_are_noted_of_the_request_that_they_are_of() -> None:
    async def answer(name: str, traced: bool) -> Way:
        way = Way(name, traced=traced)
        begin(way)
        with span("part", number=1) as noted:
            await asyncio.sleep(0)
            noted.facts["more"] = request_id()
        return way

    one, other = await asyncio.gather(answer("a", True), answer("b", False))
    [noted] = one.spans
    assert noted.facts == {"number": 1, "more": "a"} and noted.ended >= noted.began > 0
    assert other.spans == [] and request_id() == ""


async def test_failures_are_named_and_their_number_is_bounded() -> None:
    way = Way("a", traced=True)
    begin(way)
    for _ in range(_MOST + 1):
        with pytest.raises(ValueError), span("part"):
            raise ValueError("sk-secret")
    assert [one.failed for one in way.spans] == ["ValueError"] * _MOST
