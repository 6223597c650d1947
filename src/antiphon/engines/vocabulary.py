"""What a GGUF file says of its vocabulary: special tokens, chat template, how a prompt begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

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
    """The facts of a GGUF file. Reading takes seconds, so they are kept in a file beside it."""
    kept = model.with_name(model.name + ".vocabulary")
    if kept.exists() and kept.stat().st_mtime_ns >= model.stat().st_mtime_ns:
        try:
            return msgspec.json.decode(kept.read_bytes(), type=Vocabulary)
        except msgspec.DecodeError:
            kept.unlink()
    facts = _parse(model)
    fresh = kept.with_suffix(f".{os.getpid()}")
    try:
        fresh.write_bytes(msgspec.json.encode(facts))
        fresh.replace(kept)
    except PermissionError:
        return facts  # a read-only model folder: read anew next time
    return facts


def _parse(model: Path) -> Vocabulary:
    from gguf import GGUFReader  # slow to import, and rarely needed

    fields = GGUFReader(str(model)).fields

    def value(name: str, default: Any) -> Any:
        field = fields.get(f"tokenizer.{name}")
        return default if field is None else field.contents()

    tokens: Any = value("ggml.tokens", [])
    kinds: Any = value("ggml.token_type", [])

    def token(name: str) -> str:
        number = value(f"ggml.{name}_token_id", None)
        return str(tokens[number]) if isinstance(number, int) else ""

    return Vocabulary(
        size=len(tokens),
        specials={t: n for n, t in enumerate(tokens) if kinds[n] in (_CONTROL, _USER_DEFINED) and t.strip()},
        template=str(value("chat_template", "")),
        bos=token("bos"),
        eos=token("eos"),
        adds_bos=bool(value("ggml.add_bos_token", False)),
    )
