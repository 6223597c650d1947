"""The headers of rates, and durations as Go prints them, which clients parse."""

from __future__ import annotations

import pytest

from antiphon.admission.buckets import Standing, Want, standing
from antiphon.admission.gate import Gate
from antiphon.admission.limits import METERS
from antiphon.api.limits import caller_headers, go_duration
from antiphon.settings import Settings
from antiphon.values import Caller

CALLER = Caller(key_id="k", project_id="proj_1", organization_id="org-1", organization="acme")


def stands(**used: tuple[int, float]) -> Standing:
    """How a project stands: by the name of the limit, the limit and what was taken of it."""
    return tuple(
        standing(Want(meter, used[meter.limit][0], 0), used[meter.limit][1], 3600.0, got=True)
        for meter in METERS
        if meter.limit in used
    )


def rates(standing: Standing) -> dict[str, str]:
    """The rate headers, without those of the queue."""
    found = caller_headers(Gate(Settings()), CALLER, standing)
    return {name: value for name, value in found.items() if "queued" not in name and "openai" not in name}


def test_whose_request_it_was_and_how_many_may_wait() -> None:
    assert caller_headers(Gate(Settings(queue_per_organization=4)), CALLER, ()) == {
        "openai-organization": "acme",
        "openai-project": "proj_1",
        "x-ratelimit-limit-queued-requests": "4",
        "x-ratelimit-remaining-queued-requests": "4",
    }


def test_only_what_is_limited_is_shown() -> None:
    assert rates(()) == {}
    assert rates(stands(audio_seconds_per_minute=(60, 30.0))) == {}
    assert rates(stands(tokens_per_minute=(600, 90.0))) == {
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "510",
        "x-ratelimit-reset-tokens": "9s",
    }


def test_the_nearer_limit_is_shown() -> None:
    near = rates(stands(requests_per_minute=(60, 6.0), requests_per_day=(1000, 990.0)))
    assert near == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "10",
        "x-ratelimit-reset-requests": "1h0m0s",
    }
    far = rates(stands(requests_per_minute=(60, 6.0), requests_per_day=(1000, 10.0)))
    assert (far["x-ratelimit-limit-requests"], far["x-ratelimit-reset-requests"]) == ("60", "6s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.02, "20ms"),
        (0.9996, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999, "59.999s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (3661.25, "1h1m1.25s"),
    ],
)
def test_go_durations(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
