"""The rates of a request, from its coming to its end, and the words in which it is refused."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest

from antiphon.admission.buckets import Standing
from antiphon.admission.counters import Ask, Decision
from antiphon.admission.limits import Demand, Limits
from antiphon.admission.memory import Memory
from antiphon.admission.rates import Place, Rates, unseen
from antiphon.errors import RateLimited
from antiphon.values import Caller

CALLER = Caller(key_id="k", project_id="proj_1", organization_id="org-1", organization="acme")
NOON = 86_400 * 20_000 + 43_200


class Recorder(Memory):
    """A memory that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(monotonic=lambda: 100.0, clock=lambda: NOON)
        self.asked: list[Ask] = []
        self.left: list[tuple[str, str]] = []

    async def ask(self, ask: Ask) -> Decision:
        self.asked.append(ask)
        return await super().ask(ask)

    async def leave(self, key: str, place: str) -> None:
        self.left.append((key, place))
        await super().leave(key, place)


class House:
    def __init__(self, counters: Recorder | None = None, **limits: int) -> None:
        self.counters = Recorder() if counters is None else counters
        self.shown: list[Standing] = []
        self._limits = Limits(**limits)
        self._rates = Rates(self._find, self.counters)

    async def _find(self, project_id: str, snapshot: str | None) -> Limits:
        if snapshot is None:
            return Limits()
        assert (project_id, snapshot) == ("proj_1", "model-1")
        return self._limits

    def enter(self, **demand: float) -> AbstractAsyncContextManager[Place]:
        wanted = Demand(**demand)  # type: ignore[arg-type]
        return self._rates.enter(CALLER, "model-1", wanted, 7.5, self.shown.append)

    def used(self, limit: str) -> float:
        return next(quota.used for quota in self.shown[-1] if quota.meter.limit == limit)

    async def refusal(self, **demand: float) -> RateLimited:
        with pytest.raises(RateLimited) as refused:
            async with self.enter(**demand):
                raise AssertionError("it was let in")
        return refused.value


async def test_tokens_are_corrected_to_what_they_are_in_all() -> None:
    house = House(tokens_per_minute=100, tokens_per_day=1000)
    async with house.enter(tokens=50) as place:
        assert house.used("tokens_per_minute") == 50
        await place.correct(20)
        assert house.used("tokens_per_minute") == house.used("tokens_per_day") == 20
        await place.correct(120)
        assert house.used("tokens_per_minute") == 120, "what was spent counts, also over the limit"
        questions = len(house.counters.asked)
        await place.correct(120)
        assert len(house.counters.asked) == questions, "nothing has changed"
    assert house.counters.left == [], "nobody counts who is running"


async def test_without_a_limit_of_tokens_nothing_is_asked() -> None:
    house = House(requests_per_minute=5)
    async with house.enter(tokens=50) as place:
        await place.correct(20)
        await place.take_audio(60)
    assert len(house.counters.asked) == 1


async def test_sound_is_taken_when_its_length_is_known() -> None:
    house = House(audio_seconds_per_minute=60, audio_megabytes_per_minute=10)
    async with house.enter(audio_megabytes=4) as place:
        assert (house.used("audio_megabytes_per_minute"), house.used("audio_seconds_per_minute")) == (4, 0)
        await place.take_audio(45.0)
    async with house.enter(audio_megabytes=4) as place:
        with pytest.raises(RateLimited) as refusal:
            await place.take_audio(30.0)
    assert refusal.value.retry_after == 15.0 and refusal.value.type == "requests"
    assert house.used("audio_seconds_per_minute") == 45, "nothing of the refused one"
    assert (await house.refusal(audio_megabytes=4)).message == (
        "Rate limit reached for model-1 on audio megabytes per minute: limit 10, used 8, requested 4. "
        "Please try again in 12s."
    )


async def test_too_many_requests() -> None:
    house = House(requests_per_minute=1, requests_per_day=9)
    async with house.enter():
        refusal = await house.refusal()
    assert refusal.message == (
        "Rate limit reached for model-1 on requests per minute: limit 1, used 1, requested 1. "
        "Please try again in 60s."
    )
    assert (refusal.type, refusal.code, refusal.retry_after) == ("requests", "rate_limit_exceeded", 60.0)
    assert refusal.should_retry is None
    assert house.shown[-1][0].remaining == 0, "a refusal shows how the project stands"


async def test_too_many_tokens_of_a_day() -> None:
    house = House(tokens_per_minute=100, tokens_per_day=100)
    async with house.enter(tokens=100):
        refusal = await house.refusal(tokens=1)
    assert "on tokens per day: limit 100, used 100, requested 1." in refusal.message
    assert (refusal.type, refusal.retry_after) == ("tokens", 43_200.0)


async def test_what_never_fits_is_not_to_be_tried_again() -> None:
    refusal = await House(tokens_per_minute=100).refusal(tokens=101)
    assert refusal.message == (
        "Request too large for model-1 on tokens per minute: limit 100, requested 101. "
        "It will not fit later either."
    )
    assert (refusal.type, refusal.retry_after, refusal.should_retry) == ("tokens", None, False)


async def test_too_many_at_once() -> None:
    house = House(concurrent_requests=1)
    async with house.enter():
        refusal = await house.refusal()
    assert refusal.message == ("Too many requests at once for model-1: limit 1. Please try again in 7.5s.")
    assert (refusal.type, refusal.retry_after) == ("requests", 7.5)
    async with house.enter():
        pass
    assert [key for key, _ in house.counters.left] == ["proj_1/model-1"] * 3, "refused ones leave as well"


async def test_a_place_is_left_after_an_error() -> None:
    house = House(concurrent_requests=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with house.enter():
                raise ZeroDivisionError


async def test_where_a_request_was_let_in_it_is_corrected() -> None:
    """What Valkey could not answer was taken in memory, and is given back there."""

    class Away(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.local = Recorder()

        async def ask(self, ask: Ask) -> Decision:
            self.asked.append(ask)
            return await self.local.ask(ask)

    away = Away()
    house = House(away, tokens_per_minute=100, concurrent_requests=1)
    async with house.enter(tokens=50) as place:
        await place.correct(20)
    assert (len(away.asked), len(away.local.asked)) == (1, 2)
    assert len(away.left) == 1, "but it is known where it entered that it is over"


def test_nobody_needs_to_be_shown_anything() -> None:
    unseen(())


async def test_an_instance_of_ones_own_has_no_limits() -> None:
    house = House(requests_per_minute=1, concurrent_requests=1)
    for _ in range(3):
        async with house._rates.enter(CALLER, None, Demand(tokens=10**6), 7.5, house.shown.append) as place:
            await place.correct(10**7)
            await place.take_audio(10**6)
    assert house.shown == [()] * 3 or not any(house.shown)
    async with house.enter():
        assert house.used("requests_per_minute") == 1, "nothing of it counts for the shared service"
    assert [key for key, _ in house.counters.left] == ["proj_1/model-1"]
