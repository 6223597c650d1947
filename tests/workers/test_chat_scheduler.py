"""The scheduler over a scripted pipeline, whose every step waits until the test lets it go."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.errors import AntiphonError, EngineFailed, InvalidRequest, Unavailable
from antiphon.workers.chat.grammars import Grammars
from antiphon.workers.chat.pipeline import Output
from antiphon.workers.chat.prefixes import BLOCK
from antiphon.workers.chat.request import Request
from antiphon.workers.chat.scheduler import STEP_SECONDS, Scheduler
from until import until

LONG = list(range(20 * BLOCK))


class Generation:
    """A request in the scripted pipeline: after its prompt, token `n` is 100 + n."""

    def __init__(self, prompt: Sequence[int], most: int, prefill: int) -> None:
        self.prompt, self.most, self.prefill = prompt, most, prefill
        self.generated, self.cancelled, self.out_of_memory = 0, False, False
        self.unread: list[int] = []

    def step(self) -> None:
        if self.prefill > 1:
            self.prefill -= 1
        elif self.generated < self.most:
            self.generated += 1
            self.unread.append(100 + self.generated)

    def read(self) -> Output:
        tokens, self.unread = self.unread, []
        if self.out_of_memory:
            return Output(tokens, "failed")
        return Output(tokens, "limit" if self.generated == self.most else "")

    def cancel(self) -> None:
        self.cancelled = True


class Script:
    """A pipeline. `go` lets so many steps be taken; a step fails if it is told to."""

    def __init__(self, blocks: int = 100, prefill: int = 1) -> None:
        self.blocks, self.prefill = blocks, prefill
        self.added: list[Generation] = []
        self.steps = 0
        self.fault: Exception | None = None
        self._allowed = threading.Semaphore(0)

    def add(self, prompt: Sequence[int], generation: dict[str, Any], grammar: str) -> Generation:
        self.added.append(Generation(prompt, generation["max_new_tokens"], self.prefill))
        return self.added[-1]

    def step(self) -> None:
        assert self._allowed.acquire(timeout=10)
        if self.fault:
            raise self.fault
        for generation in self.added:
            if not generation.cancelled:
                generation.step()
        self.steps += 1

    def go(self, steps: int = 1) -> None:
        self._allowed.release(steps)


class House:
    """A scheduler over a script, and the requests of a test."""

    def __init__(
        self,
        script: Script,
        most: int = 10,
        clock: Callable[[], float] = time.monotonic,
        grammars: Callable[[], Grammars] = Grammars,
    ) -> None:
        self.script = script
        self.failures = self.loaded = 0
        self.scheduler = Scheduler(
            self._load, most=most, on_failure=self._failed, clock=clock, grammars=grammars
        )
        self.scheduler.start()

    def _load(self) -> Script:
        self.loaded += 1
        return self.script

    def _failed(self) -> None:
        self.failures += 1

    def ask(self, prompt: Sequence[int] = (1, 2, 3), most: int = 3, **given: str) -> Request:
        request = Request(list(prompt), {"max_new_tokens": most}, **given)
        self.scheduler.submit(request)
        return request

    async def added(self, count: int) -> None:
        await until(lambda: len(self.script.added) == count)


@asynccontextmanager
async def house(script: Script, **given: Any) -> AsyncIterator[House]:
    built = House(script, **given)
    try:
        yield built
    finally:
        script.go(1000)
        built.scheduler.close()


async def answer(request: Request) -> list[int]:
    async with asyncio.timeout(10):
        return [token async for tokens, _ in request.pieces() for token in tokens]


async def failure(request: Request) -> AntiphonError:
    with pytest.raises(AntiphonError) as raised:
        await answer(request)
    return raised.value


async def test_requests_are_computed_side_by_side() -> None:
    async with house(Script()) as built:
        first = built.ask(most=4)
        await built.added(1)
        second = built.ask(most=2)
        built.script.go(5)
        assert await answer(first) == [101, 102, 103, 104]
        assert await answer(second) == [101, 102]
        assert built.script.steps <= 5


async def test_the_last_piece_says_how_it_ended() -> None:
    async with house(Script()) as built:
        request = built.ask(most=2)
        built.script.go(2)
        async with asyncio.timeout(10):
            assert [finish async for _, finish in request.pieces()] == ["", "limit"]


async def test_who_does_not_fit_waits_and_is_not_overtaken() -> None:
    """10 blocks: 6 are taken, so the next who needs 6 waits, and so does one behind who would fit."""
    async with house(Script(blocks=10)) as built:
        large, small = [0] * (4 * BLOCK), [0] * BLOCK
        first = built.ask(large, most=1 + BLOCK // 2)
        await built.added(1)
        built.ask(large, most=1)
        built.ask(small, most=1)
        built.script.go(BLOCK // 2)
        await until(lambda: built.script.steps == BLOCK // 2)
        assert len(built.script.added) == 1
        built.script.go(2)
        await answer(first)
        await built.added(3)
        assert [len(added.prompt) for added in built.script.added] == [4 * BLOCK, 4 * BLOCK, BLOCK]


async def test_one_that_can_never_fit_is_refused() -> None:
    async with house(Script(blocks=4)) as built:
        with pytest.raises(InvalidRequest) as refusal:
            built.ask([0] * (4 * BLOCK))
        assert refusal.value.param == "n_predict"


async def test_beyond_the_bound_nobody_is_taken() -> None:
    async with house(Script(), most=2) as built:
        built.ask()
        built.ask()
        with pytest.raises(Unavailable) as refusal:
            built.ask()
        assert refusal.value.retry_after


async def test_one_that_is_given_up_makes_room() -> None:
    async with house(Script(blocks=4)) as built:
        first = built.ask([0] * (2 * BLOCK), most=BLOCK)
        await built.added(1)
        waiting, given_up = built.ask([0] * (2 * BLOCK)), built.ask([0] * (2 * BLOCK))
        built.scheduler.cancel(given_up)
        built.scheduler.cancel(first)
        built.script.go(2)
        await built.added(2)
        assert built.script.added[0].cancelled and built.script.added[0].generated < BLOCK
        built.script.go(3)
        assert len(await answer(waiting)) == 3
        assert len(built.script.added) == 2, "who was given up while waiting is never begun"


async def test_a_beginning_is_computed_once() -> None:
    """Whoever shares a long one waits for it, and then has it; of another partition nobody does."""
    async with house(Script(blocks=200, prefill=3)) as built:
        leader = built.ask(LONG, partition="a")
        await built.added(1)
        follower, other = built.ask(LONG, partition="a"), built.ask(LONG, partition="b")
        built.script.go(2)
        await until(lambda: built.script.steps == 2)
        assert len(built.script.added) == 2
        built.script.go(8)
        await built.added(3)
        for request in (leader, follower, other):
            await answer(request)
        assert (leader.cached, other.cached) == (0, 0)
        assert follower.cached == len(LONG) - 1, "the last token is always computed"
        firsts = [added.prompt[0] for added in built.script.added]
        assert firsts[0] == firsts[2] != firsts[1], "the partition's number is in the first token"


async def test_what_was_answered_is_found_in_the_next_turn() -> None:
    async with house(Script()) as built:
        first = built.ask([0] * (BLOCK // 2), most=2 * BLOCK, partition="a")
        built.script.go(2 * BLOCK)
        answered = await answer(first)
        # The token generated last was not computed with: the second block lacks it, and the third is begun.
        second = built.ask([0] * (BLOCK // 2) + answered + [5], partition="a")
        built.script.go(3)
        await answer(second)
        assert second.cached == 2 * BLOCK


async def test_a_leader_that_is_given_up_leads_nobody() -> None:
    async with house(Script(blocks=200, prefill=3)) as built:
        leader = built.ask(LONG, partition="a")
        await built.added(1)
        follower = built.ask(LONG, partition="a")
        built.scheduler.cancel(leader)
        built.script.go(2)  # one is under way, and takes no notice any more
        await built.added(2)
        built.script.go(7)
        await answer(follower)
        assert follower.cached == 0


async def test_a_prompt_that_was_broken_off_is_found_by_nobody() -> None:
    """The pipeline takes its blocks for whole: whoever asks the same goes around them."""
    async with house(Script(blocks=400, prefill=3)) as built:
        kept = built.ask(LONG[: 5 * BLOCK], partition="a")
        built.script.go(6)
        await answer(kept)
        broken = built.ask(LONG, partition="a")
        await built.added(2)
        built.scheduler.cancel(broken)
        built.script.go(2)
        await until(lambda: built.scheduler.load == (0, 0))
        again, before = built.ask(LONG, partition="a"), built.ask(LONG[: 5 * BLOCK], partition="a")
        built.script.go(20)
        for request in (again, before):
            await answer(request)
        assert broken.there == 5 and (again.cached, before.cached) == (0, 5 * BLOCK - 1)
        first, second, third, fourth = (added.prompt[0] for added in built.script.added)
        assert first == second == fourth != third


async def test_a_short_prompt_that_was_broken_off_is_found_by_nobody() -> None:
    async with house(Script(prefill=3)) as built:
        for count in (1, 2):
            request = built.ask([1, 2, 3], partition="a")
            await built.added(count)
            built.scheduler.cancel(request)
            built.script.go(2)
            await until(lambda: built.scheduler.load == (0, 0))
        first, second = (added.prompt[0] for added in built.script.added)
        assert first != second


async def test_who_shares_a_little_with_a_long_one_does_not_wait_but_goes_apart() -> None:
    async with house(Script(blocks=800, prefill=5)) as built:
        built.ask([*LONG, *range(200 * BLOCK)], partition="a")
        await built.added(1)
        apart, follower = (built.ask([*LONG, last], partition="a") for last in (1, 2))
        built.script.go(2)
        await built.added(2)
        built.script.go(20)
        await built.added(3)
        await answer(follower)
        leader, second, third = (added.prompt[0] for added in built.script.added)
        assert leader != second == third, "those who go apart share what they compute"
        assert (apart.cached, follower.cached) == (0, len(LONG))


async def test_a_failure_is_told_to_all_and_ends_the_engine() -> None:
    async with house(Script()) as built:
        running = built.ask(most=5)
        await built.added(1)
        built.script.go(1)
        await until(lambda: built.script.steps == 1)
        broken = built.ask(grammar="root ::= nothing")
        built.script.fault = RuntimeError("grammar 'nothing'")
        built.script.go(2)
        assert isinstance(await failure(running), EngineFailed)
        blamed = await failure(broken)
        assert "nothing" not in blamed.message
        await until(lambda: built.failures == 1)
        with pytest.raises(EngineFailed):
            built.scheduler.check()
        with pytest.raises(EngineFailed):
            built.ask()


async def test_who_brought_a_grammar_that_fails_is_told_so() -> None:
    async with house(Script()) as built:
        built.script.fault = RuntimeError()
        request = built.ask(grammar="root ::= nothing")
        built.script.go(1)
        blamed = await failure(request)
        assert isinstance(blamed, InvalidRequest) and blamed.param == "grammar"


async def test_after_many_grammars_the_pipeline_is_made_anew_once_it_is_idle() -> None:
    async with house(Script(), grammars=lambda: Grammars(many=2, most=3)) as built:
        built.script.go(1000)
        for grammar in ("a", "a", "b"):
            assert built.loaded == 1
            assert await answer(built.ask(LONG, grammar=grammar, partition="org")) == [101, 102, 103]
        await until(lambda: built.loaded == 2)
        again = built.ask(LONG, grammar="a", partition="org")
        assert await answer(again) == [101, 102, 103]
        assert again.cached == 0, "nothing is kept of what the other one had"
        assert built.loaded == 2


async def test_beyond_the_most_a_new_grammar_waits_for_that() -> None:
    async with house(Script(), grammars=lambda: Grammars(many=2, most=2)) as built:
        running = built.ask(most=50)
        await built.added(1)
        first = [built.ask(most=1, grammar=grammar) for grammar in "ab"]
        built.script.go(2)
        assert [await answer(one) for one in first] == [[101], [101]]
        known, unknown = built.ask(most=1, grammar="b"), built.ask(most=1, grammar="c")
        built.script.go(10)
        assert await answer(known) == [101]
        assert len(built.script.added) == 4 and built.loaded == 1
        built.script.go(100)
        assert len(await answer(running)) == 50
        assert await answer(unknown) == [101]
        assert built.loaded == 2


async def test_out_of_memory_fails_the_one() -> None:
    async with house(Script()) as built:
        first, second = built.ask(), built.ask()
        built.script.go(1)  # the second may miss the first step, but not the next
        await built.added(2)
        built.script.added[0].out_of_memory = True
        built.script.go(4)
        assert isinstance(await failure(first), EngineFailed)
        assert len(await answer(second)) == 3


async def test_an_engine_that_does_not_move_is_found_out() -> None:
    offset = 0.0
    async with house(Script(), clock=lambda: time.monotonic() + offset) as built:
        built.scheduler.check()
        built.ask()
        await built.added(1)
        built.scheduler.check()
        offset = STEP_SECONDS + 1
        with pytest.raises(EngineFailed):
            built.scheduler.check()
        built.script.go(3)


async def test_after_its_end_nothing_is_taken() -> None:
    async with house(Script()) as built:
        built.scheduler.close()
        with pytest.raises(EngineFailed):
            built.ask()
