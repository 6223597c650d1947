"""When to ask what may be away."""

from __future__ import annotations

from antiphon.breaker import Breaker


def test_three_failures_in_a_row_open_it() -> None:
    breaker = Breaker()
    assert not breaker.failed(0.0) and not breaker.failed(0.0)
    assert breaker.allows(0.0)
    assert breaker.failed(0.0), "said once"
    assert not breaker.failed(0.0)
    assert not breaker.allows(0.99)


def test_a_success_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        assert not breaker.succeeded()
    assert breaker.allows(0.0)


def test_while_open_one_asks_in_a_while_until_it_succeeds() -> None:
    breaker = Breaker(failures=1, seconds=1.0)
    breaker.failed(10.0)
    assert [breaker.allows(now) for now in (10.5, 11.0, 11.0, 11.9, 12.0)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert not breaker.failed(12.05), "it was open already"
    assert not breaker.allows(12.9) and breaker.allows(13.0)
    breaker.untold()
    assert breaker.allows(13.1), "the one at 13.0 did not find out"
    assert not breaker.allows(13.9)
    assert breaker.succeeded()
    assert breaker.allows(13.9) and breaker.allows(13.9)
