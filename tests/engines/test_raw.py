"""Prompts as they were sent: text stays text, ids stay ids, and a document has a beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from antiphon.engines import raw
from antiphon.engines.vocabulary import Vocabulary
from antiphon.errors import InvalidRequest
from antiphon.values import Prompt


class Bytes:
    """Words of a model that has a token for each byte."""

    async def tokens(self, pieces: Sequence[str | int]) -> tuple[int, ...]:
        return tuple(t for piece in pieces for t in ([piece] if isinstance(piece, int) else piece.encode()))

    async def text(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode()


def facts(**given: Any) -> Vocabulary:
    return Vocabulary(**{"size": 300, "specials": {"<s>": 256, "</s>": 257, "<|endoftext|>": 258}, **given})


async def test_what_a_prompt_becomes() -> None:
    for vocabulary, sent, tokens in (
        (facts(), "ab", (97, 98)),
        (facts(bos="<s>", eos="</s>"), "<s>", (60, 115, 62)),
        (facts(bos="<s>", adds_bos=True), "ab", (256, 97, 98)),
        (facts(bos="<s>", adds_bos=True), "", (256,)),
        (facts(bos="<s>", eos="</s>"), "", (258,)),
        (facts(bos="<s>", specials={"<s>": 256}), "", (256,)),
        (facts(bos="<s>", eos="</s>", specials={"</s>": 257}), "", (257,)),
    ):
        assert await raw.read(Bytes(), vocabulary, sent) == Prompt(sent, tokens)
    assert await raw.read(Bytes(), facts(), (97, 98)) == Prompt("ab", (97, 98))


async def test_a_prompt_that_cannot_be() -> None:
    with pytest.raises(InvalidRequest, match="no token 300") as refusal:
        await raw.read(Bytes(), facts(), (5, 300))
    with pytest.raises(InvalidRequest, match="must not be empty") as empty:
        await raw.read(Bytes(), facts(specials={}), "")
    assert refusal.value.param == empty.value.param == "prompt"
