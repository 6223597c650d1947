"""From text to tokens, and from tokens to the bytes of text.

Special tokens are unknown to the encoder: it is built without them, so that no text whatever becomes one.
OpenVINO's own tokenizer knows them, and cuts texts at 8192 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, Split
from tokenizers.pre_tokenizers import Sequence as Steps

from antiphon.errors import InvalidRequest

ENCODER, FACTS = "tokenizer.json", "vocabulary.json"
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4
"""GGUF's types of tokens: those of text, those that steer the model, those that are text of one piece."""
_ENDS = {"<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"}
"""Control tokens that end an answer whatever the file says of them, as llama.cpp has it."""
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Unsupported(Exception):
    """A model that this engine cannot serve as it should be; says why."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a vocabulary besides its encoder."""

    size: int
    ends: list[int]
    """Tokens that end an answer."""
    visible: dict[str, int] = {}
    """Special tokens that are text in an answer."""


class Vocabulary:
    """The tokens of one model; for any number of threads."""

    def __init__(self, folder: Path) -> None:
        self._encoder: Tokenizer = Tokenizer.from_file(str(folder / ENCODER))
        self._facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=Facts)
        self.ends = frozenset(self._facts.ends)
        self.size = self._facts.size
        self.bytes = _table(self._encoder.get_vocab(), self._facts)
        """What each token is in an answer, by id: nothing for one that steers the model."""

    def encode(self, pieces: Sequence[str | int]) -> list[int]:
        """Tokens of pieces: text, and ids of tokens as they are. Raises `InvalidRequest` for unknown ids."""
        tokens: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                tokens += self._encoder.encode(piece, add_special_tokens=False).ids
            elif 0 <= piece < self.size:
                tokens.append(piece)
            else:
                raise InvalidRequest("The model has no such token.", param="content")
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without those that steer the model. Raises `InvalidRequest` for unknown ids."""
        if any(not 0 <= token < self.size for token in tokens):
            raise InvalidRequest("The model has no such token.", param="tokens")
        return b"".join(self.bytes[token] for token in tokens).decode("utf-8", errors="replace")


def build(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write the encoder and the facts of a GGUF file's `tokenizer.ggml.*`. Raises `Unsupported`."""
    given = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    if given.get("model") != "gpt2":
        raise Unsupported(f"its tokenizer is '{given.get('model')}', not byte-pair encoding")
    names, kinds = given["tokens"], given["token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in given["merges"]]
    words = {name: i for i, (name, kind) in enumerate(zip(names, kinds, strict=True)) if kind == _NORMAL}
    encoder = Tokenizer(BPE(words, merges, fuse_unk=False, byte_fallback=False))
    encoder.pre_tokenizer = _splitter(str(given.get("pre", "default")))
    encoder.save(str(folder / ENCODER), pretty=False)
    ends = {given[name] for name in ("eos_token_id", "eot_token_id", "eom_token_id") if name in given}
    ends |= {i for i, name in enumerate(names) if kinds[i] == _CONTROL and name in _ENDS}
    visible = {name: i for i, name in enumerate(names) if kinds[i] == _USER_DEFINED}
    facts = Facts(size=len(names), ends=sorted(ends), visible=visible)
    (folder / FACTS).write_bytes(msgspec.json.encode(facts))


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


def _table(words: Mapping[str, int], facts: Facts) -> list[bytes]:
    letters = _letters()
    table = [b""] * facts.size
    for word, number in words.items():
        table[number] = bytes(letters[letter] for letter in word)
    for text, number in facts.visible.items():
        table[number] = text.encode()
    for number in facts.ends:
        table[number] = b""
    return table


def _letters() -> dict[str, int]:
    """The byte behind each letter of byte-level words: GPT-2 writes bytes that cannot be seen as others."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {chr(byte): byte for byte in seen}
    hidden = (byte for byte in range(256) if byte not in letters.values())
    return letters | {chr(256 + place): byte for place, byte in enumerate(hidden)}
