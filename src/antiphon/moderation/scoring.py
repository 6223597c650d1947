"""What every scorer offers, and a panel of them as one: the highest share of each category counts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from antiphon.errors import AntiphonError, Unavailable
from antiphon.wire.moderations import CATEGORIES

FLAGGED = 0.5
"""The share from which on something is taken to be of a category. Scorers are made so that it means that."""
MOST_CHARACTERS = 131_072
"""Of one text."""

Scores = Mapping[str, float]
"""Shares from 0 to 1 by category; what is not named is 0."""


class Scorer(Protocol):
    """Scores texts. What takes time is done elsewhere than on the event loop."""

    @property
    def name(self) -> str:
        """As the settings name it."""

    @property
    def version(self) -> str:
        """Changes whenever the same text may get other scores."""

    @property
    def categories(self) -> frozenset[str]:
        """What it can score: nothing, where it cannot be had."""

    @property
    def problem(self) -> str:
        """Why it cannot be asked, in a few words; empty if it can."""

    async def start(self) -> None:
        """Get ready, as far as it can be had: never raises for what is missing."""

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        """One for each text. Raises `Unavailable` where it fails, within its deadline."""

    async def close(self) -> None:
        """End what runs for it."""


class Finding(msgspec.Struct, frozen=True):
    """A share of a category, and which scorer gave it."""

    score: float
    scorer: str


Findings = Mapping[str, Finding]


class Panel:
    """Several scorers, asked side by side: all of those that can score something."""

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self.scorers = tuple(scorers)

    @property
    def unscored(self) -> list[str]:
        """Categories that nobody here can score now."""
        scored = frozenset[str]().union(*(one.categories for one in self.scorers))
        return [name for name in CATEGORIES if name not in scored]

    @property
    def model(self) -> str:
        """What answers, by a name that changes with the scores: `antiphon-moderation-…`."""
        versions = "\n".join(f"{one.name} {one.version}" for one in self.scorers if one.categories)
        return f"antiphon-moderation-{hashlib.sha256(versions.encode()).hexdigest()[:8]}"

    async def start(self) -> None:
        await asyncio.gather(*(one.start() for one in self.scorers))

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self.scorers), return_exceptions=True)

    async def score(self, texts: Sequence[str], *, partly: bool = False) -> list[dict[str, Finding]]:
        """The findings in each text, of every category.

        Raises `Unavailable` if one of the scorers fails, since what the others find would be taken for all
        that there is; with `partly` only if all of them do.
        """
        asked = [one for one in self.scorers if one.categories]
        if not asked:
            raise Unavailable("No scorer of moderation can be asked now.", retry_after=1)
        answers = await asyncio.gather(*(one.score(texts) for one in asked), return_exceptions=True)
        told, failures = [], []
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                failures.append(answer)
            else:
                told.append((one.name, answer))
        # A bug is not hidden behind a scorer that is away.
        for failure in sorted(failures, key=lambda one: isinstance(one, AntiphonError)):
            if not (partly and told and isinstance(failure, AntiphonError)):
                raise failure
        return [_highest([(name, scores[at]) for name, scores in told]) for at in range(len(texts))]


def _highest(scores: Sequence[tuple[str, Scores]]) -> dict[str, Finding]:
    return {
        category: max(
            (
                Finding(given.get(category, 0.0), name if given.get(category) else "")
                for name, given in scores
            ),
            key=lambda finding: finding.score,
        )
        for category in CATEGORIES
    }
