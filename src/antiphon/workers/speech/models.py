"""Which models are in memory: as many as a budget allows, the least recently used one goes first."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from antiphon.errors import EngineFailed

MEMORY_SECONDS = 30.0
"""Longest wait for memory that others use."""
LOADING_SECONDS = 120.0
"""Longest wait for a model that another thread loads."""
BROKEN_SECONDS = 30.0
"""How long a model that could not be loaded is not tried again: others would be unloaded for it in vain."""

M = TypeVar("M")

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Held(Generic[M]):
    """A model that takes memory, or will as soon as it is loaded."""

    bytes: int
    model: M | None = None
    users: int = 0
    """Those who wait for it to be loaded among them."""
    failed: bool = False


class Models(Generic[M]):
    """Models by name, for many threads at once. `use` brings them into memory, `lent` takes what is there.

    `paths` holds what can be used, `load(path)` makes a model (slow, and never twice at once for one name),
    `size(path)` tells how many bytes it will take. All models together take at most `budget` bytes, except
    that one alone may take more. A model is unloaded by dropping it: whoever used it must not keep it.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        budget: int,
        load: Callable[[Path], M],
        size: Callable[[Path], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths, self._budget, self._load, self._size, self._clock = paths, budget, load, size, clock
        self._held: OrderedDict[str, _Held[M]] = OrderedDict()
        """The least recently used one first."""
        self._broken: dict[str, float] = {}
        """Models that could not be loaded, and when that may be tried again."""
        self._line: deque[object] = deque()
        """Who waits for memory: none is overtaken by those who use what is loaded, which might never end."""
        self._changed = threading.Condition(threading.Lock())

    @contextmanager
    def use(self, name: str) -> Iterator[M]:
        """The model, which stays in memory meanwhile. Not to be nested in one thread.

        Raises `EngineFailed` if there is no such model, it cannot be loaded, or there is no memory for it
        within 30 s. A model that could not be loaded is not tried again for the next 30 s.
        """
        held, new = self._enter(name)
        try:
            yield self._fetch(name, held) if new else self._fetched(held)
        finally:
            self._leave(held)

    @contextmanager
    def lent(self, name: str) -> Iterator[M]:
        """The model that somebody else uses, in memory even if he leaves it meanwhile. Never waits.

        Raises `EngineFailed` if it is not in memory.
        """
        with self._changed:
            held = self._held.get(name)
            if held is None or held.model is None:
                raise EngineFailed("The speech engine's model was unloaded.", retry_after=1)
            held.users += 1
        try:
            yield self._fetched(held)
        finally:
            self._leave(held)

    def _leave(self, held: _Held[M]) -> None:
        with self._changed:
            held.users -= 1
            self._changed.notify_all()

    def _enter(self, name: str) -> tuple[_Held[M], bool]:
        """The model with one user more, and whether it is for the caller to load it."""
        if name not in self._paths:
            raise EngineFailed("The speech engine does not serve this model.")
        ticket, new = object(), False
        deadline = self._clock() + MEMORY_SECONDS
        with self._changed:
            self._line.append(ticket)
            try:
                while (held := self._usable(name, ticket)) is None:
                    if new := self._line[0] is ticket and self._make_room(need := self._bytes(name)):
                        held = self._held[name] = _Held(need)
                        break
                    if (left := deadline - self._clock()) <= 0:
                        raise EngineFailed("The speech engine's memory is in use.", retry_after=1)
                    self._changed.wait(left)
                held.users += 1
                self._held.move_to_end(name)
                return held, new
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()

    def _usable(self, name: str, ticket: object) -> _Held[M] | None:
        """The model if it is in memory and nobody is overtaken, or if it is on its way there."""
        if self._clock() < self._broken.get(name, float("-inf")):
            raise _broken()
        held = self._held.get(name)
        return held if held and (held.model is None or self._line[0] is ticket) else None

    def _make_room(self, need: int) -> bool:
        """Unload what nobody uses until there is room. Nothing is unloaded if that does not help."""
        used = [held.bytes for held in self._held.values() if held.users]
        if used and sum(used) + need > self._budget:
            return False
        for name, held in list(self._held.items()):
            if sum(other.bytes for other in self._held.values()) + need <= self._budget:
                break
            if not held.users:
                del self._held[name]
                # Whoever used it last may still hold on to this.
                held.model = None
        return True

    def _bytes(self, name: str) -> int:
        try:
            return self._size(self._paths[name])
        except Exception as problem:
            raise self._unloadable(name, problem) from None

    def _fetch(self, name: str, held: _Held[M]) -> M:
        """Load the model. All who wait for it learn if that fails."""
        try:
            model = self._load(self._paths[name])
        except BaseException as problem:
            with self._changed:
                held.failed = True
                del self._held[name]
                failure = self._unloadable(name, problem)
                self._changed.notify_all()
            if isinstance(problem, Exception):
                raise failure from None
            raise
        with self._changed:
            held.model = model
            self._changed.notify_all()
        return model

    def _fetched(self, held: _Held[M]) -> M:
        """The model, as soon as it is loaded."""
        with self._changed:
            loaded = self._changed.wait_for(lambda: held.failed or held.model is not None, LOADING_SECONDS)
            if held.failed:
                raise _broken()
            if not loaded or held.model is None:
                raise EngineFailed("The speech engine's model is still being loaded.", retry_after=5)
            return held.model

    def _unloadable(self, name: str, problem: BaseException) -> EngineFailed:
        self._broken[name] = self._clock() + BROKEN_SECONDS
        _log.error("the speech model %s cannot be loaded: %s", name, type(problem).__name__)
        return _broken()


def _broken() -> EngineFailed:
    return EngineFailed("The speech engine cannot load this model.", retry_after=BROKEN_SECONDS)
