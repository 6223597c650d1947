"""A pool: the engines of one deployment, and leases on them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import msgspec

from antiphon.engines.base import Engine, EngineKind
from antiphon.errors import EngineFailed, EngineRefused, RequestTimeout, Unavailable
from antiphon.pools.demand import Keeper
from antiphon.pools.member import Member, Serving, Status
from antiphon.pools.policy import chosen
from antiphon.values import Deployment

RETRY_AFTER = 2.0
"""Seconds that a client is told to wait: a crashed engine is usually back by then."""
_BROKEN = 3
"""Ends of an engine, one after another, from which on it is not counted on."""
_HOMES = 4096
"""Beginnings of prompts of which it is known where they were computed last."""


class Place(msgspec.Struct, frozen=True):
    """A member of a pool, with what keeps it; those of one generation are replicas of each other."""

    member: Member
    keeper: Keeper
    generation: str


class Lease:
    """An engine that one request holds."""

    def __init__(self, serving: Serving, deadline: asyncio.Timeout | None = None) -> None:
        self.serving = serving
        self.deadline = deadline
        self.engine: Engine = serving.engine
        self.deployment = serving.deployment
        self.fingerprint = serving.fingerprint
        self.failed = False
        """Whether the engine broke off, for whoever has not let its error pass through the lease."""
        self.answered = False
        """Whether something came from it that the client may see."""


class Pool:
    """The engines of one deployment, by its name; those of a shared kind serve other pools as well.

    While they are replaced there are two generations: the old serves until one of the new is ready, and from
    then on only those requests that it has.
    """

    def __init__(self, deployment: Deployment, kind: EngineKind) -> None:
        self.deployment = deployment
        """The newest."""
        self.kind = kind
        self.places: list[Place] = []
        """The newest generation last. Started and stopped by whoever made them."""
        self.on_change: list[Callable[[], None]] = []
        """Called, in the event loop, after `capacity` may have changed."""
        self._homes: OrderedDict[Hashable, Serving] = OrderedDict()

    def wake(self) -> None:
        """Somebody is about to ask: what runs on demand shall run."""
        if self.places:
            newest = self.places[-1].generation
            next(place for place in self.places if place.generation == newest).keeper.wake()

    @property
    def capacity(self) -> int:
        """Requests that this process may have at once now: its slots of every ready engine that takes new
        ones."""
        return sum(serving.slots for serving in self._current())

    def weight(self, tokens: int) -> int:
        """How many of the slots a request takes that may have so many tokens, prompt and answer together.

        Where all share one cache, a slot is an equal part of it.
        """
        cache = self.kind.cache(self.deployment)
        needed = min(tokens, self.deployment.context)
        return min(self.deployment.slots, -(-needed * self.deployment.slots // cache)) if cache else 1

    @property
    def ready(self) -> bool:
        """Whether a request would be served now."""
        return bool(self._current())

    @property
    def broken(self) -> bool:
        """Whether its engines end again and again, so that another one is better asked."""
        return not self.ready and all(place.member.failures >= _BROKEN for place in self.places)

    @contextmanager
    def acquire(
        self,
        beginning: Hashable = None,
        besides: Lease | None = None,
        deadline: asyncio.Timeout | None = None,
    ) -> Iterator[Lease]:
        """Hold an engine for one request. Raises `Unavailable` when none is ready.

        `beginning` of the prompt: where requests that have it in common went before is preferred. `besides`
        is not given again. `deadline` is what cancels the block when the answer takes too long.

        It bounds nothing: who may come in is admission's business, by `capacity`. If the engine dies
        meanwhile, its client raises `EngineFailed`. One of several engines that fail again and again, or are
        silent until it is too late, is left out for a while.
        """
        held = self._chosen(beginning, besides)
        lease, ended, trial = Lease(held, deadline), False, held.breaker.open
        held.busy += 1
        try:
            yield lease
            ended = True
        except (EngineFailed, RequestTimeout) as problem:
            lease.failed |= not isinstance(problem, EngineRefused)
            raise
        except asyncio.CancelledError:
            lease.failed |= deadline is not None and deadline.expired() and not lease.answered
            raise
        finally:
            held.busy -= 1
            if lease.failed:
                held.breaker.failed(time.monotonic())
            elif ended:
                held.breaker.succeeded()
            elif trial:
                # The client has left, or the request was at fault: of the engine that tells nothing.
                held.breaker.untold()

    def passed_over(self, member: Member) -> bool:
        """Whether new requests go to a successor of a member."""
        generation = next(place.generation for place in self.places if place.member is member)
        newest = self._newest()
        return newest is not None and newest != generation

    def status(self) -> list[Status]:
        """Of every engine, the newest first."""
        return [place.member.status(self.deployment.snapshot) for place in reversed(self.places)]

    def changed(self) -> None:
        """Tell everybody who asked to be told."""
        for callback in self.on_change:
            callback()

    def _chosen(self, beginning: Hashable, besides: Lease | None) -> Serving:
        serving = [one for one in self._current() if besides is None or one is not besides.serving]
        if not serving and besides is None:
            serving = self._leaving()
        if not serving:
            raise Unavailable("The model is not ready. Please try again shortly.", retry_after=RETRY_AFTER)
        if len(serving) == 1:
            return serving[0]
        for one in serving:
            # One request finds out whether an engine that failed is well again.
            if one.breaker.open and one.breaker.allows(time.monotonic()):
                return one
        well = [one for one in serving if not one.breaker.open] or serving
        before = self._homes.get(beginning) if beginning is not None else None
        home = next((i for i, one in enumerate(well) if one is before), None)
        held = well[chosen([(one.busy, one.slots) for one in well], home)]
        if beginning is not None:
            self._homes[beginning] = held
            self._homes.move_to_end(beginning)
            if len(self._homes) > _HOMES:
                self._homes.popitem(last=False)
        return held

    def _leaving(self) -> list[Serving]:
        """An engine that is given no new requests: it does not end under one that was let in before."""
        found = (place.member.last(self.deployment.snapshot) for place in reversed(self.places))
        return [serving for serving in found if serving][:1]

    def _newest(self) -> str | None:
        """The newest generation of which an engine is ready."""
        snapshot = self.deployment.snapshot
        ready = (place for place in reversed(self.places) if place.member.serving(snapshot))
        return next((place.generation for place in ready), None)

    def _current(self) -> list[Serving]:
        """The engines that take new requests: those of the newest generation that is ready."""
        newest = self._newest()
        if newest is None:
            return []
        found = [
            (serving, place.member.retiring)
            for place in self.places
            if place.generation == newest and (serving := place.member.serving(self.deployment.snapshot))
        ]
        return [serving for serving, retiring in found if not retiring] or [one for one, _ in found]
