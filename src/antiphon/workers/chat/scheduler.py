"""The thread that owns the pipeline: lets requests in, takes steps, hands on what they generate."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator

from antiphon.errors import AntiphonError, EngineFailed, InvalidRequest, Unavailable
from antiphon.workers.chat.grammars import Grammars
from antiphon.workers.chat.partitions import Partitions, marked
from antiphon.workers.chat.pipeline import Output, Pipeline
from antiphon.workers.chat.prefixes import Prefixes
from antiphon.workers.chat.request import Request

STEP_SECONDS = 60.0
"""A step that takes longer never ends."""
CLOSE_SECONDS = 2.0
TURNS = 8
"""Of the event loop between two steps: so many take a request from its connection to its answer."""
BREATH_SECONDS = 0.1
"""Longest wait for them."""

_log = logging.getLogger(__name__)


class Scheduler:
    """Every request in one pipeline. Used in one event loop, from `start` to `close`."""

    def __init__(
        self,
        load: Callable[[], Pipeline],
        *,
        most: int,
        on_failure: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        grammars: Callable[[], Grammars] = Grammars,
    ) -> None:
        """`load` makes a pipeline, at once and again when one has read many grammars; `most`: requests at
        once, waiting ones included. `on_failure` is called in the thread, once, when the pipeline cannot be
        used any more: the process has to be started anew."""
        self._load, self._most, self._on_failure, self._clock = load, most, on_failure, clock
        self._new_grammars = grammars
        self._fill()
        self._blocks = self._pipeline.blocks
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._changed = threading.Condition()
        self._closed = self._broken = False
        self._step_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin, in the event loop that answers are read in."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Take a request. Raises `Unavailable` beyond the bound, `InvalidRequest` if it can never fit."""
        if request.need > self._blocks:
            raise InvalidRequest("The prompt and its answer are longer than the cache.", param="n_predict")
        with self._changed:
            if self._broken or self._closed:
                raise EngineFailed("The chat engine has ended.", retry_after=1)
            if len(self._waiting) + len(self._running) >= self._most:
                raise Unavailable("The chat engine is busy.", retry_after=1)
            self._waiting.append(request)
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Give a request up, whatever has become of it; it is gone with the next step."""
        with self._changed:
            request.cancelled = True
            self._changed.notify()

    def check(self) -> None:
        """Raises `EngineFailed` if the pipeline failed or does not move on."""
        since = self._step_since
        if self._broken or (since is not None and self._clock() - since > STEP_SECONDS):
            raise EngineFailed("The chat engine does not answer.")

    @property
    def load(self) -> tuple[int, int]:
        """Requests that are computed, and requests that wait for room."""
        return len(self._running), len(self._waiting)

    def close(self) -> None:
        """End the thread; what runs is given up."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while self._wait():
            try:
                self._admit()
                if self._running:
                    self._step()
                if self._grammars.many and not self._running:
                    self._renew()
            except Exception as problem:
                # The text of an exception may quote a grammar.
                _log.error("the pipeline failed: %s", type(problem).__name__)
                self._fail()
                return

    def _wait(self) -> bool:
        """Until there is something to do; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting or self._running)
            return not self._closed

    def _admit(self) -> None:
        """Let in those who have waited longest, as long as there is room for them."""
        with self._changed:
            waiting = [request for request in self._waiting if not request.cancelled]
            self._waiting = deque(waiting)
        entered = []
        for request in waiting:
            if self._follows(request):
                continue
            if not self._prefixes.fits(request.need) or not self._grammars.fits(request.grammar):
                break
            self._enter(request)
            entered.append(request)
        with self._changed:
            for request in entered:
                self._waiting.remove(request)
            self._running += entered

    def _fill(self) -> None:
        self._pipeline = self._load()
        self._prefixes, self._partitions = Prefixes(self._pipeline.blocks), Partitions()
        self._grammars = self._new_grammars()

    def _renew(self) -> None:
        """Let go of all that is kept: grammars, which nothing else lets go of, and prompts."""
        with self._changed:
            for request in self._waiting:
                request.chain = None
        del self._pipeline  # two at a time may be more than the memory has room for
        self._fill()

    def _follows(self, request: Request) -> bool:
        """Whether it waits for another, who computes what it would have to compute as well.

        Where that is not worth it, it goes on apart: what is not computed yet must not be found.
        """
        while True:
            if request.chain is None or request.changes != self._partitions.changes:
                request.changes = self._partitions.changes
                request.chain, request.keys = self._partitions.chain(request.partition, request.prompt)
            pending = self._prefixes.pending(request.keys)
            if pending is None or pending.worth:
                return pending is not None
            self._partitions.avoid(pending.key)

    def _enter(self, request: Request) -> None:
        assert request.chain is not None
        prompt = marked(request.prompt, request.chain.number)
        request.running = self._pipeline.add(prompt, request.generation, request.grammar)
        self._grammars.add(request.grammar)
        request.there = self._prefixes.enter(request.number, request.keys, request.need)

    def _step(self) -> None:
        # Those that are given up during the step are still in the pipeline after it.
        dropped = [request for request in self._running if request.cancelled]
        for request in dropped:
            assert request.running is not None
            request.running.cancel()
        self._step_since = self._clock()
        self._pipeline.step()
        self._step_since = None
        self._post(list(self._read(dropped)))
        with self._changed:
            self._running = [request for request in self._running if request.running]
        self._breathe()

    def _read(self, dropped: Collection[Request]) -> Iterator[tuple[Request, Output | AntiphonError]]:
        """What is new of each request. Those that have ended or were dropped leave."""
        for request in self._running:
            assert request.running is not None
            output = request.running.read()
            if output.tokens:
                self._account(request, output.tokens)
            if output.finish or request in dropped:
                self._leave(request)
            if output.finish == "failed":
                yield request, EngineFailed("The chat engine ran out of memory.", retry_after=1)
            elif output.tokens or output.finish:
                yield request, output

    def _account(self, request: Request, tokens: list[int]) -> None:
        """Tell what the pipeline has computed for a request by now."""
        assert request.chain is not None
        if not request.last:
            self._prefixes.computed(request.number, request.keys)
        computed = [*request.last, *tokens[:-1]]
        request.last = tokens[-1:]
        self._prefixes.computed(request.number, request.chain.feed(computed))

    def _breathe(self) -> None:
        """Let the event loop turn: OpenVINO holds the interpreter's lock for the whole of a step."""
        turned = threading.Event()

        def turn(left: int) -> None:
            if left:
                self._loop.call_soon(turn, left - 1)
            else:
                turned.set()

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(turn, TURNS)
            turned.wait(BREATH_SECONDS)

    def _leave(self, request: Request) -> None:
        self._prefixes.leave(request.number)
        request.running = None
        if request.last or not request.partition:
            return  # what belongs to nobody is found by nobody anyway
        # Its prompt was broken off, perhaps in the middle of a block, which the pipeline keeps as if it were
        # whole: nobody may find that.
        if behind := request.keys[request.there :] or request.keys[-1:]:
            self._partitions.avoid(behind[0])
        else:
            self._partitions.renew(request.partition)

    def _fail(self) -> None:
        """Tell everybody. A request whose grammar was to be read in the step that failed is told so."""
        with self._changed:
            self._broken = True
            left = [*self._running, *self._waiting]
            self._running, self._waiting = [], deque()
        self._post([(request, _failure(request)) for request in left])
        self._on_failure()

    def _post(self, given: list[tuple[Request, Output | AntiphonError]]) -> None:
        def hand() -> None:
            for request, piece in given:
                request.hand(piece)

        if given and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(hand)


def _failure(request: Request) -> AntiphonError:
    if request.running and request.grammar and not request.last:
        return InvalidRequest("The chat engine cannot use this grammar.", param="grammar")
    return EngineFailed("The chat engine failed.", retry_after=1)
