"""Prompts without a template: texts and token ids as they were sent, read by llama.cpp's HTTP protocol."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from antiphon.engines.upstream import Upstream
from antiphon.engines.vocabulary import Vocabulary
from antiphon.errors import InvalidRequest
from antiphon.values import Prompt, RawPrompt
from antiphon.wire.completion import Text, Tokens

_SEPARATOR = "<|endoftext|>"
"""What stands between documents in the vocabularies of most models that have a token for that alone."""


async def tokens(upstream: Upstream, pieces: Sequence[str | int]) -> tuple[int, ...]:
    """The tokens of texts, none of which can become a special one, and of ids as they are."""
    body = {"content": pieces, "add_special": False, "parse_special": False}
    answer = await upstream.post("/tokenize", body)
    return tuple(msgspec.json.decode(answer, type=Tokens).tokens)


async def read(upstream: Upstream, facts: Vocabulary, prompt: RawPrompt) -> Prompt:
    """See `ChatEngine.tokenize`."""
    if isinstance(prompt, str):
        pieces: list[str | int] = [*_beginning(facts, prompt)]
        pieces += [prompt] if prompt else []
        return Prompt(prompt, await tokens(upstream, pieces))
    if (highest := max(prompt)) >= facts.size:
        raise InvalidRequest(
            f"Invalid value for 'prompt': this model has no token {highest} (0 to {facts.size - 1}).",
            param="prompt",
            code="invalid_value",
        )
    answer = await upstream.post("/detokenize", {"tokens": prompt})
    return Prompt(msgspec.json.decode(answer, type=Text).content, prompt)


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
