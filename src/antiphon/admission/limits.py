"""What a project may do with a snapshot, and what one request takes of that. Plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from antiphon.settings import Settings
from antiphon.values import ChatJob

MEGABYTE = 1_048_576
"""Bytes: what the limit of 25 megabytes for a recording is counted in too."""
THROTTLED_REQUESTS = 60
"""A minute, for an organization that is throttled and has no limit that could be divided."""
_CHARACTERS_PER_TOKEN = 4
_ANSWER_TOKENS = 16
"""What an answer is taken to be while nobody has said how long it may be."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a project may do with a snapshot; 0 sets no limit. A day is one of UTC."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    audio_seconds_per_minute: int = 0
    audio_megabytes_per_minute: int = 0
    requests_per_day: int = 0
    tokens_per_day: int = 0
    concurrent_requests: int = 0


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a request takes of its limits, as far as it is known."""

    requests: int = 1
    tokens: int = 0
    audio_seconds: float = 0.0
    audio_megabytes: float = 0.0


class Meter(msgspec.Struct, frozen=True):
    """Something that is counted: what a limit of this name is compared with."""

    limit: str
    """The field of `Limits`."""
    counts: Literal["requests", "tokens", "audio_seconds", "audio_megabytes"]
    """The field of `Demand`."""
    daily: bool = False


METERS = (
    Meter("requests_per_minute", "requests"),
    Meter("tokens_per_minute", "tokens"),
    Meter("audio_seconds_per_minute", "audio_seconds"),
    Meter("audio_megabytes_per_minute", "audio_megabytes"),
    Meter("requests_per_day", "requests", daily=True),
    Meter("tokens_per_day", "tokens", daily=True),
)


def installed(settings: Settings) -> Limits:
    """The limits of a project that has none of its own."""
    return Limits(
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        audio_seconds_per_minute=settings.audio_per_minute,
        audio_megabytes_per_minute=settings.uploads_per_minute,
        requests_per_day=settings.requests_per_day,
        tokens_per_day=settings.tokens_per_day,
        concurrent_requests=settings.concurrent_requests,
    )


def overridden(limits: Limits, own: Mapping[str, int | None]) -> Limits:
    """`limits`, with what is not None of a project's own."""
    return msgspec.structs.replace(limits, **{name: n for name, n in own.items() if n is not None})


def shared(limits: Limits, processes: int) -> Limits:
    """One process's share of `limits`; the smallest share is 1, since 0 would set no limit."""
    if processes == 1:
        return limits
    every = msgspec.structs.asdict(limits)
    return Limits(**{name: max(1, limit // processes) if limit else 0 for name, limit in every.items()})


def throttled(limits: Limits, divisor: int) -> Limits:
    """`limits` of an organization whose rates are divided for a time; where there was none, there is one."""
    least = shared(limits, max(1, divisor))
    if least.requests_per_minute:
        return least
    return msgspec.structs.replace(least, requests_per_minute=THROTTLED_REQUESTS)


def guessed_tokens(texts: Iterable[str]) -> int:
    """What texts are taken to be in tokens until they have been counted."""
    return sum(map(len, texts)) // _CHARACTERS_PER_TOKEN


def text_demand(job: ChatJob, prompt_tokens: int, prompts: int = 1) -> Demand:
    """What a request takes that is to go on, as `job` says, with `prompts` of `prompt_tokens` in all.

    A guess where `job` does not say how long an answer may be.
    """
    answer = _ANSWER_TOKENS if job.max_tokens is None else job.max_tokens
    return Demand(tokens=prompt_tokens + answer * job.n * prompts)


def upload_demand(size: int) -> Demand:
    """What a recording of `size` bytes takes, before its length is known."""
    return Demand(audio_megabytes=size / MEGABYTE)
