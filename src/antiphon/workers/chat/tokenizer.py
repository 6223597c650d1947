"""The vocabulary of a prepared model: made of a GGUF file's or of a folder's, and read again.

OpenVINO's own tokenizer knows special tokens, and cuts texts at 8192 tokens: it only serves grammars.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, Split
from tokenizers.pre_tokenizers import Sequence as Steps

from antiphon.tokens import folder as folders
from antiphon.tokens.encoder import Encoder, Known, of_folder
from antiphon.tokens.folder import ENDS

ENCODER, FACTS = "tokenizer.json", "vocabulary.json"
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""GGUF's types of tokens: those of text, those that steer the model, those that are text of one piece, and
those that the model has no use for."""
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Unsupported(Exception):
    """A model that this engine cannot serve as it should be; says why."""


def load(folder: Path) -> Encoder:
    """The vocabulary of a prepared model."""
    known = msgspec.json.decode((folder / FACTS).read_bytes(), type=Known)
    return Encoder(Tokenizer.from_file(str(folder / ENCODER)), known)


def build(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write the vocabulary of a GGUF file's `tokenizer.ggml.*`. Raises `Unsupported`."""
    given = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    if given.get("model") != "gpt2":
        raise Unsupported(f"its tokenizer is '{given.get('model')}', not byte-pair encoding")
    names, kinds = given["tokens"], given["token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in given["merges"]]
    words = {name: i for i, (name, kind) in enumerate(zip(names, kinds, strict=True)) if kind == NORMAL}
    encoder = Tokenizer(BPE(words, merges, fuse_unk=False, byte_fallback=False))
    encoder.pre_tokenizer = _splitter(str(given.get("pre", "default")))
    ends = {given[name] for name in ("eos_token_id", "eot_token_id", "eom_token_id") if name in given}
    ends |= {i for i, name in enumerate(names) if kinds[i] == CONTROL and name in ENDS}
    visible = {name: i for i, name in enumerate(names) if kinds[i] == USER_DEFINED}
    _write(encoder, Known(size=len(names), ends=sorted(ends), visible=visible), folder)


def build_of_folder(model: Path, folder: Path) -> dict[str, Any]:
    """Write the vocabulary of a folder as the hub has them. Returns it as GGUF's `tokenizer.ggml.*`.

    Raises `Unsupported`.
    """
    try:
        facts = folders.read(model)
        encoder, known = of_folder(model, facts)
    except ValueError as problem:
        raise Unsupported(str(problem)) from None
    _write(encoder, known, folder)
    names, kinds = [""] * facts.size, [UNUSED] * facts.size
    for words, kind in (
        (encoder.get_vocab(with_added_tokens=False), NORMAL),
        (facts.specials, CONTROL),
        (facts.visible, USER_DEFINED),
    ):
        for name, number in words.items():
            names[number], kinds[number] = name, kind
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",  # read by OpenVINO's own tokenizer alone
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": _merges(encoder),
        "tokenizer.ggml.eos_token_id": min(facts.ends),
    }


def _write(encoder: Tokenizer, known: Known, folder: Path) -> None:
    encoder.save(str(folder / ENCODER), pretty=False)
    (folder / FACTS).write_bytes(msgspec.json.encode(known))


def _merges(encoder: Tokenizer) -> list[str]:
    merges = msgspec.json.decode(encoder.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]


def _splitter(name: str) -> Steps:
    """How text is cut into words before pairs are merged, by the name that GGUF files give to it."""
    match name:
        case "smollm":
            return Steps([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
        case "qwen2":
            steps = [Split(Regex(_QWEN), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
            return Steps(steps)
        case _:
            raise Unsupported(f"its tokenizer cuts words in a way that is not known here: '{name}'")
