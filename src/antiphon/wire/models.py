"""The shapes of `GET /v1/models` and of the error envelope."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as listed. `alias_of` and `stand_in` are ours: what an alias means today, and whether it stands
    in for a model that its vendor no longer serves."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    shutdown_date: str | None = None
    alias_of: str | None = None
    stand_in: bool = False


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Model]


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """All four keys, always; nulls explicit."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorEnvelope(msgspec.Struct, frozen=True):
    error: ErrorBody


class EngineError(ErrorEnvelope, frozen=True, omit_defaults=True):
    """An error as an engine process of ours tells it to the platform, as an answer or as an event.

    `retry_after` are the seconds to wait, if waiting helps: of an event, no header can tell.
    """

    retry_after: Annotated[float, Meta(ge=0)] | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"


class EngineHealth(Health, frozen=True, kw_only=True):
    """What an engine process of ours says while it serves: all its models, or all but those `unusable`."""

    unusable: list[str] = []


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`deployments` maps each served snapshot to the state of its engine."""

    status: Literal["ready", "unavailable", "draining"]
    deployments: dict[str, str]
