"""A pool: the engines of one deployment, and leases on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from antiphon.engines.base import EngineKind
from antiphon.errors import Unavailable
from antiphon.pools.demand import Keeper
from antiphon.pools.member import Member, Serving, Status
from antiphon.pools.policy import least_busy
from antiphon.values import Deployment

RETRY_AFTER = 2.0
"""Seconds that a client is told to wait: a crashed engine is usually back by then."""
_BROKEN = 3
"""Ends of an engine, one after another, from which on it is not counted on."""


class Pool:
    """The engines of one deployment, by its name; those of a shared kind serve other pools as well.

    While one is replaced by a successor there are two: the old serves until the new is ready, and from then
    on only those requests that it has.
    """

    def __init__(self, deployment: Deployment, kind: EngineKind) -> None:
        self.deployment = deployment
        """The newest."""
        self.kind = kind
        self.members: list[tuple[Member, Keeper]] = []
        """The newest last. Started and stopped by whoever made them."""
        self.on_change: list[Callable[[], None]] = []
        """Called, in the event loop, after `capacity` may have changed."""

    def wake(self) -> None:
        """Somebody is about to ask: what runs on demand shall run."""
        if self.members:
            self.members[-1][1].wake()

    @property
    def capacity(self) -> int:
        """Requests that can be served at once now: the slots of every ready engine that takes new ones."""
        return sum(serving.deployment.slots for serving in self._current())

    def places(self, tokens: int) -> int:
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
        return not self.ready and all(member.failures >= _BROKEN for member, _ in self.members)

    @contextmanager
    def acquire(self) -> Iterator[Serving]:
        """Hold an engine (`.engine`) for one request. Raises `Unavailable` when none is ready.

        It bounds nothing: who may come in is admission's business, by `capacity`. If the engine dies
        meanwhile, its client raises `EngineFailed`.
        """
        serving = self._current()
        chosen = least_busy([(one.busy, one.deployment.slots) for one in serving])
        if chosen is None:
            raise Unavailable("The model is not ready. Please try again shortly.", retry_after=RETRY_AFTER)
        held = serving[chosen]
        held.busy += 1
        try:
            yield held
        finally:
            held.busy -= 1

    def passed_over(self, member: Member) -> bool:
        """Whether new requests go to a successor of a member."""
        position = next(i for i, (one, _) in enumerate(self.members) if one is member)
        return any(one.serving(self.deployment.snapshot) for one, _ in self.members[position + 1 :])

    def status(self) -> list[Status]:
        """Of every engine, the newest first."""
        return [member.status(self.deployment.snapshot) for member, _ in reversed(self.members)]

    def changed(self) -> None:
        """Tell everybody who asked to be told."""
        for callback in self.on_change:
            callback()

    def _current(self) -> Sequence[Serving]:
        """The engine that takes new requests: the newest that is ready."""
        found = (member.serving(self.deployment.snapshot) for member, _ in reversed(self.members))
        newest = next((serving for serving in found if serving), None)
        return [newest] if newest else []
