"""What a project may do: the installation's limits, its own, and a process's share of them."""

from __future__ import annotations

import pytest

from antiphon.admission.limits import (
    MEGABYTE,
    METERS,
    Demand,
    Limits,
    guessed_tokens,
    installed,
    overridden,
    shared,
    text_demand,
    upload_demand,
)
from antiphon.settings import Settings
from antiphon.values import ChatJob


def test_every_limit_is_a_setting() -> None:
    chosen = {name: number for number, name in enumerate(Limits.__struct_fields__, 1)}
    settings = {
        {
            "audio_seconds_per_minute": "audio_per_minute",
            "audio_megabytes_per_minute": "uploads_per_minute",
        }.get(name, name): number
        for name, number in chosen.items()
    }
    assert installed(Settings(**settings)) == Limits(**chosen)
    assert installed(Settings()) == Limits(requests_per_minute=3000)


def test_every_limit_is_counted_by_a_meter() -> None:
    assert {meter.limit for meter in METERS} | {"concurrent_requests"} == set(Limits.__struct_fields__)
    assert {meter.counts for meter in METERS} == set(Demand.__struct_fields__)


def test_a_limit_of_ones_own_wins() -> None:
    base = Limits(requests_per_minute=10, tokens_per_minute=20)
    own = {"requests_per_minute": 0, "tokens_per_minute": None, "tokens_per_day": 5}
    assert overridden(base, own) == Limits(tokens_per_minute=20, tokens_per_day=5)


def test_a_share_is_never_nothing_and_never_everything() -> None:
    limits = Limits(requests_per_minute=100, concurrent_requests=2)
    assert shared(limits, 4) == Limits(requests_per_minute=25, concurrent_requests=1)
    assert shared(limits, 1) == limits


@pytest.mark.parametrize(
    ("max_tokens", "n", "prompts", "tokens"),
    [(None, 1, 1, 10 + 16), (50, 1, 1, 60), (50, 3, 1, 160), (0, 1, 1, 10), (50, 2, 3, 310)],
)
def test_a_request_takes_its_prompts_and_the_most_that_each_choice_may_have(
    max_tokens: int | None, n: int, prompts: int, tokens: int
) -> None:
    job = ChatJob(id="c", model="m", messages=(), max_tokens=max_tokens, n=n)
    assert text_demand(job, 10, prompts) == Demand(tokens=tokens)


def test_tokens_are_guessed_until_they_are_counted() -> None:
    assert guessed_tokens(["x" * 30, "y" * 12]) == 10
    assert guessed_tokens([]) == 0


def test_megabytes_are_those_of_the_upload_limit() -> None:
    assert upload_demand(Settings().upload_bytes).audio_megabytes == 25
    assert upload_demand(MEGABYTE // 2).audio_megabytes == 0.5
