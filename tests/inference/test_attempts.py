"""An answer that fails before it began is asked of another engine, once; nothing is written twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from antiphon.errors import EngineFailed, EngineRefused, Unavailable
from antiphon.inference.attempts import attempted
from antiphon.values import Delta, Usage

WHOLE = [Delta(0, "a"), Delta(0, "b"), Usage()]


class Engine:
    """Writes `WHOLE`, or fails after so many pieces."""

    def __init__(self, after: int | None = None, problem: type[EngineFailed] = EngineFailed) -> None:
        self.after = after
        self.problem = problem
        self.asked = 0
        self.closed = 0

    async def write(self) -> AsyncGenerator[Delta | Usage, None]:
        self.asked += 1
        try:
            for number, piece in enumerate(WHOLE):
                if number == self.after:
                    raise self.problem("It broke off.")
                yield piece
        finally:
            self.closed += 1


class Held:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.failed = False


class Others:
    """A pool with one further engine, or none."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine
        self.held = 0

    @contextmanager
    def acquire(self, beginning: Any = None, besides: Any = None) -> Iterator[Held]:
        assert besides is not None
        if self.engine is None:
            raise Unavailable("There is none.")
        self.held += 1
        try:
            yield Held(self.engine)
        finally:
            self.held -= 1


async def told(first: Engine, pool: Others) -> tuple[Sequence[Any], Held]:
    lease: Any = Held(first)
    others: Any = pool
    found = [piece async for piece in attempted(others, lease, lambda engine: engine.write())]  # type: ignore[attr-defined]
    return found, lease


async def test_one_that_does_not_fail_is_the_only_one_asked() -> None:
    first, other = Engine(), Engine()
    found, lease = await told(first, Others(other))
    assert (found, other.asked, lease.failed) == (WHOLE, 0, False)


async def test_what_failed_before_its_first_piece_is_written_by_another() -> None:
    first, other = Engine(0), Engine()
    pool = Others(other)
    found, lease = await told(first, pool)
    assert (found, lease.failed, first.closed, pool.held) == (WHOLE, True, 1, 0)


async def test_what_failed_later_is_not_written_again() -> None:
    other = Engine()
    with pytest.raises(EngineFailed):
        await told(Engine(1), Others(other))
    assert other.asked == 0


async def test_a_request_at_fault_is_not_tried_again() -> None:
    other = Engine()
    with pytest.raises(EngineRefused):
        await told(Engine(0, EngineRefused), Others(other))
    assert other.asked == 0


async def test_it_is_tried_again_once_and_the_first_failure_is_told_if_there_is_no_other() -> None:
    with pytest.raises(EngineFailed):
        await told(Engine(0), Others(Engine(0)))
    with pytest.raises(EngineFailed, match="It broke off"):
        await told(Engine(0), Others())
