"""What counts of a request, for which API, and whether it was answered well. `docs/status.md` tells it."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from antiphon.settings import Settings

Api = Literal["chat", "speech", "embeddings", "moderation", "administration"]
APIS: tuple[Api, ...] = get_args(Api)
Outcome = Literal["good", "slow", "failed", "refused", "left"]
"""Answered well; whole, but too late; not answered, or not to the end; at fault itself, or over a limit; not
waited for."""
PROBES = "org-status-probes"
"""The organization of the probes that a server sends to itself: what these use costs nobody anything."""
LEAST_SPEECH_SECONDS = 10.0
"""Of which no recording is expected to be faster, however short."""
_NOT_OURS = frozenset({"instance_elsewhere"})
"""Codes of refusals of status 503 that tell the client where to ask instead."""


class Objectives(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: to a stream's first token; to the end of any other answer; for each second of sound."""

    first_token: float
    whole: float
    sound: float


def objectives(settings: Settings) -> Objectives:
    return Objectives(
        first_token=settings.first_token_objective,
        whole=settings.chat_objective,
        sound=settings.speech_objective,
    )


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is over. Times are seconds since the last byte of the request came."""

    route: str
    status: int
    """Of the answer, or of the error that ended its stream; 0: nothing was sent."""
    code: str | None = None
    """Of the error, if it was one."""
    received: bool = True
    """Whether the whole request came."""
    complete: bool
    """Whether all of the answer was sent."""
    streams: bool = False
    """Whether the answer is a stream, or was to be one."""
    first: float | None = None
    """Until the first piece of the stream."""
    seconds: float
    """Until the end."""
    sound: float = 0.0
    """Length of the recording, if it was one that could be opened."""


def api_of(route: str) -> Api | None:
    """Whose figures a route counts for: pages, health and lists of models for nobody's."""
    if not route.startswith("/v1/"):
        return None
    if route.startswith(("/v1/organization/", "/v1/operator/")):
        return "administration"
    if route.startswith("/v1/audio/"):
        return "speech"
    if route.endswith("/embeddings"):
        return "embeddings"
    if route == "/v1/moderations":
        return "moderation"
    return "chat" if route.endswith(("/completions", "/completions/render")) else None


def outcome(ended: Ended, api: Api, objectives: Objectives) -> Outcome:
    """How a request went. Only `good`, and `slow` and `failed` count."""
    if ended.status == 408 and ended.received:
        return "failed"  # else the client was too slow
    if ended.status >= 400:
        return "failed" if ended.status >= 500 and ended.code not in _NOT_OURS else "refused"
    if too_late(ended, api, objectives):
        return "slow"
    return "good" if ended.complete else "left"


def too_late(ended: Ended, api: Api, objectives: Objectives) -> bool:
    """Whether the objective had passed when the answer came, or when the client left."""
    if api == "speech":
        return ended.seconds > max(LEAST_SPEECH_SECONDS, objectives.sound * ended.sound)
    if api == "administration":
        return ended.seconds > objectives.first_token
    if ended.streams:
        return (ended.seconds if ended.first is None else ended.first) > objectives.first_token
    return ended.seconds > objectives.whole
