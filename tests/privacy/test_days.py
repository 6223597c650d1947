"""Days of UTC."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.privacy.days import SECONDS, day_of, end_of, is_day


def test_a_day_begins_and_ends_at_midnight_in_utc() -> None:
    assert day_of(0) == "1970-01-01" and day_of(SECONDS - 0.001) == "1970-01-01"
    assert day_of(SECONDS) == "1970-01-02" and end_of("1970-01-01") == SECONDS
    assert end_of("2026-12-31") == end_of("2026-12-30") + SECONDS


@given(st.integers(0, 4_000_000_000))
def test_a_moment_is_within_its_day(moment: int) -> None:
    assert end_of(day_of(moment)) - SECONDS <= moment < end_of(day_of(moment))
    assert is_day(day_of(moment))


@given(st.text(alphabet="0123456789-.DWS_ot"))
def test_no_other_name_is_one(name: str) -> None:
    if is_day(name):
        assert day_of(end_of(name) - 1) == name
    assert not is_day(f".{name}") and not is_day("20261128") and not is_day("2026-W48-6")
