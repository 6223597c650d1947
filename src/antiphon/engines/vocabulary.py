"""What a model says of its vocabulary: special tokens, chat template, how prompts begin and answers end."""

from __future__ import annotations

from pathlib import Path

import msgspec

from antiphon.engines import gguf
from antiphon.tokens import folder
from antiphon.tokens.folder import ENDS

# GGUF's token types: control tokens steer the model, user-defined ones are matched before anything else.
_CONTROL, _USER_DEFINED = 3, 4
_LAST = ("eos", "eot", "eom")
"""What GGUF calls the tokens that end an answer."""


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one model. `specials` maps the text of each special token to its id."""

    size: int
    specials: dict[str, int]
    template: str = ""
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False
    ends: frozenset[int] = frozenset()
    """Tokens that end an answer."""


def read(model: Path) -> Vocabulary:
    """The facts of a GGUF file, or of a folder as the Hugging Face hub has them.

    Raises `OSError`, or `ValueError` for one that is not what it should be.
    """
    if model.is_dir():
        return msgspec.convert(folder.read(model), Vocabulary, from_attributes=True)
    return _of_gguf(model)


def _of_gguf(model: Path) -> Vocabulary:
    facts = gguf.metadata(model, lambda name: name.startswith("tokenizer.") and not name.endswith(".merges"))
    tokens = facts.get("tokenizer.ggml.tokens", [])
    kinds = facts.get("tokenizer.ggml.token_type", [])

    def number(name: str) -> int | None:
        found = facts.get(f"tokenizer.ggml.{name}_token_id")
        return found if isinstance(found, int) else None

    def token(name: str) -> str:
        return "" if (found := number(name)) is None else str(tokens[found])

    ends = {found for name in _LAST if (found := number(name)) is not None}
    ends |= {n for n, text in enumerate(tokens) if kinds[n] == _CONTROL and text in ENDS}
    return Vocabulary(
        size=len(tokens),
        specials={t: n for n, t in enumerate(tokens) if kinds[n] in (_CONTROL, _USER_DEFINED) and t.strip()},
        template=str(facts.get("tokenizer.chat_template", "")),
        bos=token("bos"),
        eos=token("eos"),
        adds_bos=bool(facts.get("tokenizer.ggml.add_bos_token", False)),
        ends=frozenset(ends),
    )
