"""What a request has gone through, and when: noted on its way, for logs and traces. No content, no keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

Value = str | int | float | bool


class Span(msgspec.Struct):
    """A part of a request's way. Moments are nanoseconds since 1970."""

    name: str
    began: int
    ended: int = 0
    facts: dict[str, Value] = {}
    failed: str = ""
    """The class of the exception that it ended with."""


class Way(msgspec.Struct):
    """The whole way of one request."""

    request_id: str
    parent: str = ""
    """The `traceparent` of the request, as W3C's Trace Context has it; empty if it had none."""
    traced: bool = False
    """Whether anybody wants to know of its parts."""
    spans: list[Span] = []


_MOST = 64
"""Parts that are noted of one request: tries and prompts may be many."""
_way: ContextVar[Way | None] = ContextVar("way", default=None)


def begin(way: Way) -> None:
    """From here on this task, and those that it starts, are on the way of a request."""
    _way.set(way)


def request_id() -> str:
    """Of the request that is being answered here; empty outside of any."""
    way = _way.get()
    return way.request_id if way is not None else ""


@contextmanager
def span(name: str, **facts: Value) -> Iterator[Span]:
    """Note when the block begins and ends; more facts may be added to what it gives."""
    noted = Span(name, time.time_ns(), facts=facts)
    way = _way.get()
    if way is not None and way.traced and len(way.spans) < _MOST:
        way.spans.append(noted)
    try:
        yield noted
    except BaseException as problem:
        noted.failed = type(problem).__name__
        raise
    finally:
        noted.ended = time.time_ns()
