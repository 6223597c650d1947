"""What a GGUF file says of its vocabulary: special tokens, chat template, how a prompt begins."""

from __future__ import annotations

from pathlib import Path

import msgspec

from antiphon.engines import gguf

# GGUF's token types: control tokens steer the model, user-defined ones are matched before anything else.
_CONTROL, _USER_DEFINED = 3, 4


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one model file. `specials` maps the text of each special token to its id."""

    size: int
    specials: dict[str, int]
    template: str = ""
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False


def read(model: Path) -> Vocabulary:
    """The facts of a GGUF file; see `gguf.metadata` for what it raises."""
    facts = gguf.metadata(model, lambda name: name.startswith("tokenizer.") and not name.endswith(".merges"))
    tokens = facts.get("tokenizer.ggml.tokens", [])
    kinds = facts.get("tokenizer.ggml.token_type", [])

    def token(name: str) -> str:
        number = facts.get(f"tokenizer.ggml.{name}_token_id")
        return str(tokens[number]) if isinstance(number, int) else ""

    return Vocabulary(
        size=len(tokens),
        specials={t: n for n, t in enumerate(tokens) if kinds[n] in (_CONTROL, _USER_DEFINED) and t.strip()},
        template=str(facts.get("tokenizer.chat_template", "")),
        bos=token("bos"),
        eos=token("eos"),
        adds_bos=bool(facts.get("tokenizer.ggml.add_bos_token", False)),
    )
