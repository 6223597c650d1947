"""Several iterators as one: everything arrives, errors end all, and nobody is left running. Pieces as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.merge import decoded, joined, merge
from antiphon.errors import EngineFailed
from antiphon.values import CallDelta, Delta, TokenLogprob


class Source:
    """Yields numbers; `closed` once it was ended, however that came."""

    def __init__(self, *numbers: int, error: Exception | None = None, hang: bool = False) -> None:
        self.closed = False
        self._numbers, self._error, self._hang = numbers, error, hang

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            for number in self._numbers:
                await asyncio.sleep(0)
                yield number
            if self._hang:
                await asyncio.sleep(3600)
            if self._error:
                raise self._error
        finally:
            self.closed = True


@pytest.mark.parametrize("count", [1, 2, 8])
async def test_everything_arrives_in_order_within_each(count: int) -> None:
    sources = [Source(*range(i * 1000, i * 1000 + 200)) for i in range(count)]
    got = [item async for item in merge([s.items() for s in sources])]
    for i in range(count):
        assert [n for n in got if n // 1000 == i] == list(range(i * 1000, i * 1000 + 200))
    assert all(s.closed for s in sources)


@pytest.mark.parametrize("count", [1, 2])
async def test_an_error_of_one_ends_all(count: int) -> None:
    sources = [Source(1, error=ValueError("broken")), Source(2, hang=True)][:count]
    with pytest.raises(ValueError, match="broken"):
        async for _ in merge([s.items() for s in sources]):
            pass
    assert all(s.closed for s in sources)


@pytest.mark.parametrize("at_once", [1, 3])
async def test_so_many_run_at_a_time_and_no_more(at_once: int) -> None:
    begun, running, most = [], 0, 0

    async def items(number: int) -> AsyncGenerator[int, None]:
        nonlocal running, most
        begun.append(number)
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
            yield number
        running -= 1

    got = [item async for item in merge([items(n) for n in range(10)], at_once)]
    assert sorted(got) == sorted([*range(10)] * 5)
    assert (begun, most) == ([*range(10)], at_once)


async def test_closing_closes_those_that_wait_for_their_turn() -> None:
    sources = [Source(1, hang=True) for _ in range(3)]
    async with aclosing(merge([s.items() for s in sources], 1)) as merged:
        assert await anext(merged) == 1
    assert [s.closed for s in sources] == [True, False, False], "the others never began"


@pytest.mark.parametrize("count", [1, 3])
async def test_closing_closes_all(count: int) -> None:
    sources = [Source(*range(500), hang=True) for _ in range(count)]
    async with aclosing(merge([s.items() for s in sources])) as merged:
        assert await anext(merged) == 0
    assert all(s.closed for s in sources)


likely = TokenLogprob("a", -0.5, [97], [])
pieces = st.builds(
    Delta, st.just(1), st.sampled_from(["", "a", "é", " b"]), st.sampled_from([(), (likely,)]), st.none()
)


@given(st.lists(pieces, max_size=8), st.booleans())
def test_what_came_at_once_says_the_same_in_fewer_pieces(said: list[Delta], ended: bool) -> None:
    counted = [msgspec.structs.replace(piece, completion_tokens=n) for n, piece in enumerate(said, 1)]
    counted += [Delta(1, finish_reason="stop", completion_tokens=9)] if ended else []
    found = joined(counted)
    assert "".join(piece.text for piece in found) == "".join(piece.text for piece in counted)
    assert sum((piece.logprobs for piece in found), ()) == sum((piece.logprobs for piece in counted), ())
    assert [piece.finish_reason for piece in found if piece.finish_reason] == ["stop"] * ended
    assert all(piece.text or piece.logprobs or piece.finish_reason for piece in found)
    if found:
        meaningful = [p for p in counted if p.text or p.logprobs or p.finish_reason]
        assert found[-1].completion_tokens == meaningful[-1].completion_tokens
        assert found[-1].finish_reason == meaningful[-1].finish_reason
    if not any(piece.logprobs for piece in counted):
        assert len(found) <= 1


def test_calls_that_came_at_once_stay_apart() -> None:
    begun = Delta(0, calls=(CallDelta(0, "call_1", "now"),), completion_tokens=2)
    more = Delta(0, calls=(CallDelta(0, arguments="{}"),), completion_tokens=3)
    said = [Delta(0, "a", completion_tokens=1), begun, more, Delta(0, "b"), Delta(0, "c"), Delta(0)]
    assert joined(said) == [said[0], begun, more, Delta(0, "bc")]


def test_what_came_before_something_unreadable_is_kept() -> None:
    def decode(event: bytes) -> int:
        if not event.isdigit():
            raise EngineFailed("no number")
        return int(event)

    assert decoded([b"1", b"2"], decode) == ([1, 2], None)
    found, problem = decoded([b"1", b"x", b"2"], decode)
    assert found == [1] and isinstance(problem, EngineFailed)
