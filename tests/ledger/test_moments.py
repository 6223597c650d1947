"""The moments of a request: each is told once, in milliseconds since its beginning."""

from __future__ import annotations

import msgspec

from antiphon.ledger.moments import Moments, Times


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_moment_is_the_first_of_its_kind() -> None:
    clock = Clock()
    moments = Moments(clock)
    told = []
    for moment in (moments.let_in, moments.engine, moments.first, moments.first, moments.engine):
        clock.now += 0.0016
        moment()
    clock.now += 1
    told.append(moments.ended())
    clock.now += 1
    told.append(moments.ended())
    assert told == [Times(queued=2, engine=3, first=5, ended=1008)] * 2


def test_what_never_came_is_not_told() -> None:
    clock = Clock()
    moments = Moments(clock)
    clock.now += 2
    assert moments.ended() == Times(ended=2000)


def test_times_of_a_version_that_knew_fewer_are_read() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode([7, None]), type=Times) == Times(queued=7)
