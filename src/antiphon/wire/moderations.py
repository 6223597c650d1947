"""The shapes of `POST /v1/moderations`, as clients send and read them, and what scores what. No logic.

`unscored` and everything of `/v1/moderations/scorers` are ours; the rest is OpenAI's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""OpenAI's, in its order."""

Text = Annotated[str, Meta(max_length=131_072)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of one input. An image is refused by its name: nothing here looks at one."""

    type: Literal["text", "image_url"]
    text: Text | None = None
    image_url: Any = None


class ModerationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request: `input` is one text, several texts, or the parts of one input."""

    input: Text | Annotated[list[Text | Part], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class ModerationResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one input; the maps have every category."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, Share]
    category_applied_input_types: dict[str, list[Literal["text"]]]


class Moderation(msgspec.Struct, frozen=True, kw_only=True):
    """`unscored` are the categories that no scorer here can score: they are 0, whatever the input says."""

    id: str
    model: str
    results: list[ModerationResult]
    unscored: list[str]


class ScorerState(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer: what it can score, and, if it cannot be asked now, why."""

    name: str
    version: str
    categories: list[str]
    problem: str = ""


class ScorerList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    model: str
    data: list[ScorerState]
    unscored: list[str]


class Scored(msgspec.Struct, frozen=True):
    """What another server of this API answers for one input, as far as it is read."""

    category_scores: dict[str, float]


class Answered(msgspec.Struct, frozen=True):
    results: list[Scored]
