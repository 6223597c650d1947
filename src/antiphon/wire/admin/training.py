"""Whether content may be trained on, who decided it, and the text that is agreed to. All of this is ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.wire.admin.lists import ListPage


class TrainingOptInUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whoever opts in names the version of the text, to say that it was read.

    `given_by` names who decided, where the key does not tell; an operator who opts in has to name somebody.
    """

    opted_in: bool
    text_version: Annotated[str, Meta(max_length=64)] | None = None
    given_by: Annotated[str, Meta(max_length=200)] = ""


class ConsentText(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    sha256: str
    text: str


class TrainingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """`decided_at` in unix seconds. `api_key_id` is null for the operator at the command line."""

    id: str
    object: Literal["organization.training_opt_in.decision"] = "organization.training_opt_in.decision"
    opted_in: bool
    decided_at: int
    text_version: str
    text_sha256: str
    given_by: str
    api_key_id: str | None
    user_id: str | None


class TrainingOptIn(msgspec.Struct, frozen=True, kw_only=True):
    """What holds now: `decision` is the one that it follows from, null where there never was one.

    `text` is what an opt-in agrees to today.
    """

    object: Literal["organization.training_opt_in"] = "organization.training_opt_in"
    opted_in: bool
    decision: TrainingDecision | None
    text: ConsentText


class TrainingDecisionList(ListPage, frozen=True, kw_only=True):
    data: list[TrainingDecision]
