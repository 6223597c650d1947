"""Finds, for a request, the examples that are most like it: a small model follows what it has just seen."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable
from math import log
from typing import Any, NamedTuple

from pantry import HERE, Pantry

_CLOSE = 0.6
"""An example is shown if it is at least so like the request, to the closest of all."""


class Example(NamedTuple):
    """A request, and the call that answers it."""

    likeness: float
    """To the request that is to be answered: 0 to 1."""
    tool: str
    request: str
    arguments: dict[str, Any]


class Examples:
    """Those of examples.toml. What is asked counts, not about what: a food is `food`, a recipe `recipe`."""

    def __init__(self, pantry: Pantry) -> None:
        self._pantry = pantry
        data = tomllib.loads((HERE / "examples.toml").read_text())
        self._all = [
            (Example(0, tool, request, arguments), set(pantry.without_names(request)))
            for tool, examples in data.items()
            for request, arguments in examples
        ]
        common = Counter(word for _, words in self._all for word in words)
        self._weights = {word: log(1 + len(self._all) / count) for word, count in common.items()}

    def closest(self, request: str, tools: Collection[str], count: int = 4) -> list[Example]:
        """The examples of some tools that are most like a request, at most `count`, the closest last."""
        asked = set(self._pantry.without_names(request))
        ranked = sorted(
            (example._replace(likeness=self._weight(words & asked) / (self._weight(words | asked) or 1))
             for example, words in self._all if example.tool in tools),
            key=lambda example: example.likeness,
        )[-count:]  # fmt: skip
        return [example for example in ranked if example.likeness >= _CLOSE * ranked[-1].likeness]

    def _weight(self, words: Iterable[str]) -> float:
        """Words that few examples have weigh more."""
        return sum(self._weights.get(word, 0) for word in words)


def messages(examples: Iterable[Example]) -> list[dict[str, Any]]:
    """Examples as a conversation, in the shapes of the API."""
    said: list[dict[str, Any]] = []
    for number, one in enumerate(examples):
        function = {"name": one.tool, "arguments": json.dumps(one.arguments)}
        call = {"id": f"example_{number}", "type": "function", "function": function}
        said.append({"role": "user", "content": one.request})
        said.append({"role": "assistant", "content": None, "tool_calls": [call]})
        said.append({"role": "tool", "tool_call_id": call["id"], "content": "Done."})
    return said
