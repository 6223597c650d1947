"""From text to tokens, and from tokens to the bytes of text, for byte-level byte-pair encoding.

Special tokens are unknown to the encoder: it is built without them, so that no text whatever becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from tokenizers import Tokenizer

from antiphon.errors import InvalidRequest
from antiphon.tokens import folder as folders
from antiphon.tokens.folder import MOST_WORDS, TOKENIZER, Facts

_IN_TEXT = frozenset({ord("\n"), *range(0x20, 0x7F), *range(0x80, 0xC0), *range(0xC2, 0xF1)})
"""The bytes that text consists of, but for what some vocabularies lack: control characters, rare planes."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a vocabulary besides its encoder."""

    size: int
    ends: list[int]
    """Tokens that end an answer."""
    visible: dict[str, int] = {}
    """Added tokens that are text in an answer."""


class Encoder:
    """The tokens of one model; for any number of threads."""

    def __init__(self, tokenizer: Tokenizer, known: Known) -> None:
        """Raises `ValueError` for words that are not written in byte-level letters."""
        self._tokenizer = tokenizer
        self.ends = frozenset(known.ends)
        self.size = known.size
        self.bytes = _table(tokenizer.get_vocab(with_added_tokens=False), known)
        """What each token is in an answer, by id: nothing for one that steers the model."""

    def encode(self, pieces: Sequence[str | int]) -> list[int]:
        """Tokens of pieces: text, and ids of tokens as they are. Raises `InvalidRequest` for unknown ids."""
        tokens: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                tokens += self._tokenizer.encode(piece, add_special_tokens=False).ids
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


def of_folder(folder: Path, facts: Facts) -> tuple[Tokenizer, Known]:
    """What an `Encoder` is made of, from a folder as the hub has them. Takes a second.

    Raises `ValueError`, which says in a few words what is wrong, or `OSError`.
    """
    written = folders.document(folder / TOKENIZER, most=MOST_WORDS)
    known = Known(size=facts.size, ends=sorted(facts.ends), visible=facts.visible)
    try:
        without_marks = _without_marks(written, facts)
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{TOKENIZER} is not as it should be") from None
    try:
        tokenizer = Tokenizer.from_str(msgspec.json.encode(without_marks).decode())
    except Exception:  # the library raises nothing more exact
        raise ValueError(f"{TOKENIZER} cannot be used") from None
    if not {bytes([byte]) for byte in _IN_TEXT} <= set(Encoder(tokenizer, known).bytes):
        raise ValueError("its vocabulary lacks bytes that text consists of")
    return tokenizer, known


def _without_marks(written: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """A tokenizer that cuts nothing off, adds nothing, and has neither special tokens nor what makes them."""
    model = written["model"]
    steps = _types(written["pre_tokenizer"]) & _types(written["decoder"])
    if model["type"] != "BPE" or model.get("byte_fallback") or "ByteLevel" not in steps:
        raise ValueError("its tokenizer is not byte-level byte-pair encoding")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise ValueError("its tokenizer marks where words begin or end")
    words = {word: number for word, number in model["vocab"].items() if word not in facts.specials}
    merges = [merge.split(" ", 1) if isinstance(merge, str) else list(merge) for merge in model["merges"]]
    added = [one for one in written["added_tokens"] if one["content"] not in facts.specials]
    inner = {
        # With those that are added: one that the vocabulary lacks would get another number.
        "vocab": words | {one["content"]: one["id"] for one in added},
        "merges": [pair for pair in merges if words.keys() >= {*pair, "".join(pair)}],
        "unk_token": None,
        "dropout": None,
    }
    outer = {"truncation": None, "padding": None, "post_processor": None}
    return written | outer | {"added_tokens": added, "model": model | inner}


def _types(step: Any) -> set[str]:
    """The kinds of a step and of those that it consists of."""
    if isinstance(step, list):
        return set().union(*map(_types, step))
    if not isinstance(step, dict):
        return set()
    inner = (_types(value) for value in step.values() if isinstance(value, list))
    return {str(step.get("type"))}.union(*inner)


def letters() -> dict[str, int]:
    """The byte behind each letter of byte-level words: GPT-2 writes bytes that cannot be seen as others."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    found = {chr(byte): byte for byte in seen}
    hidden = (byte for byte in range(256) if byte not in found.values())
    return found | {chr(256 + place): byte for place, byte in enumerate(hidden)}


def _table(words: Mapping[str, int], known: Known) -> list[bytes]:
    byte_of = letters()
    table = [b""] * known.size
    try:
        for word, number in words.items():
            if word not in known.visible:
                table[number] = bytes(byte_of[letter] for letter in word)
        for text, number in known.visible.items():
            table[number] = text.encode()
    except (KeyError, IndexError):
        raise ValueError("its vocabulary is not one of byte-level words") from None
    for number in known.ends:
        table[number] = b""
    return table
