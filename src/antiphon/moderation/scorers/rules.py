"""The scorer `rules`: patterns and lists of words, of the operator's and of those that are shipped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from antiphon.moderation import rules
from antiphon.moderation.scoring import Scores
from antiphon.settings import Settings


class RulesScorer:
    """Matching goes on in a thread: for texts of this length it takes milliseconds, and RE2 has no worst
    case."""

    name = "rules"
    problem = ""

    def __init__(self, found: rules.Rules) -> None:
        self._rules = found

    @property
    def version(self) -> str:
        return self._rules.version

    @property
    def categories(self) -> frozenset[str]:
        return self._rules.categories

    async def start(self) -> None:
        """There is nothing to wait for."""

    async def score(self, texts: Sequence[str]) -> list[Scores]:
        return await asyncio.to_thread(lambda: [self._rules.find(text) for text in texts])

    async def close(self) -> None:
        """There is nothing to end."""


def build(settings: Settings) -> RulesScorer:
    """Reads the files of rules: raises `ConfigurationError` for what is wrong in them."""
    return RulesScorer(rules.load(settings.home_path))
