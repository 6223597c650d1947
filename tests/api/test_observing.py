"""Who watches may have the end of an answer wait for it, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from antiphon.api import exchange
from antiphon.values import Caller, Observation
from service import serving


class Watch:
    """Promises something that it does once it is told to."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.promised: list[asyncio.Future[None]] = []

    def wants(self, caller: Caller) -> bool:
        return True

    def observe(self, seen: Observation) -> asyncio.Future[None] | None:
        self.seen.append(seen)
        self.promised.append(asyncio.get_running_loop().create_future())
        return self.promised[-1]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_of_an_answer_waits_for_what_was_promised(tmp_path: Path, stream: bool) -> None:
    watch = Watch()
    async with serving(tmp_path, observers=[watch]) as service:
        answering = asyncio.create_task(service.chat(stream=stream))
        async with asyncio.timeout(10):
            while not watch.promised:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert not answering.done()
        watch.promised[0].set_result(None)
        assert (await answering)[0] == 200
    assert watch.seen[0].whole


async def test_a_promise_that_is_not_kept_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "SETTLE_SECONDS", 0.05)
    async with serving(tmp_path, observers=[Watch()]) as service:
        async with asyncio.timeout(5):
            assert (await service.chat())[0] == 200
