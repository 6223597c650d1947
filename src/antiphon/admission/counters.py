"""Where rates are counted: the protocol of the two places, memory and Valkey."""

from __future__ import annotations

from typing import Protocol

import msgspec

from antiphon.admission.buckets import Standing
from antiphon.admission.limits import Demand, Limits


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question: may this be taken of the limits of `key`, a project with a snapshot?

    `place` is the id under which the request counts as running from now on; empty if it does already, or is
    not to be counted. What is not `binding` is taken even where it does not fit: a correction.
    """

    key: str
    limits: Limits
    demand: Demand
    place: str = ""
    binding: bool = True


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`taken`: all or nothing was. `standing` is how it is now, against the `limits` that were compared with.

    `crowded`: there were as many requests running as may be. `by` is who counted: what follows for the same
    request is asked there.
    """

    taken: bool
    standing: Standing
    limits: Limits
    crowded: bool
    by: Counters


class Counters(Protocol):
    """Counts by key. Neither method raises because counts cannot be had, or takes longer than a moment."""

    async def ask(self, ask: Ask) -> Decision:
        """Take everything that is asked for, or nothing, in one step."""

    async def leave(self, key: str, place: str) -> None:
        """The request runs no longer, or never did; twice is once."""
