"""Prompts without a template: texts and token ids as they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from antiphon.engines.vocabulary import Vocabulary
from antiphon.errors import InvalidRequest
from antiphon.values import Prompt, RawPrompt

_SEPARATOR = "<|endoftext|>"
"""What stands between documents in the vocabularies of most models that have a token for that alone."""


class Words(Protocol):
    """Who knows the words of a model, as `ChatClient` does."""

    async def tokens(self, pieces: Sequence[str | int]) -> tuple[int, ...]:
        """The tokens of texts, none of which can become a special one, and of ids as they are."""

    async def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens that the vocabulary has, without those that steer the model."""


async def read(words: Words, facts: Vocabulary, prompt: RawPrompt) -> Prompt:
    """See `ChatEngine.tokenize`."""
    if isinstance(prompt, str):
        pieces: list[str | int] = [*_beginning(facts, prompt)]
        pieces += [prompt] if prompt else []
        return Prompt(prompt, await words.tokens(pieces))
    require_known(prompt, facts.size, "prompt")
    return Prompt(await words.text(prompt), prompt)


def require_known(ids: Sequence[int], size: int, param: str) -> None:
    """Raise `InvalidRequest`, naming `param`, for an id that a vocabulary of `size` tokens does not have."""
    if (highest := max(ids)) >= size:
        raise InvalidRequest(
            f"Invalid value for '{param}': this model has no token {highest} (0 to {size - 1}).",
            param=param,
            code="invalid_value",
        )


def _beginning(facts: Vocabulary, text: str) -> list[int]:
    """The token before a text, if there has to be one. Raises `InvalidRequest` if the model has none."""
    if facts.adds_bos and facts.bos:
        return [facts.specials[facts.bos]]
    if text:
        return []
    marks = (facts.specials[mark] for mark in (_SEPARATOR, facts.bos, facts.eos) if mark in facts.specials)
    if (first := next(marks, None)) is None:
        raise InvalidRequest(
            "This model has no token that begins a document: 'prompt' must not be empty.",
            param="prompt",
            code="invalid_value",
        )
    return [first]
