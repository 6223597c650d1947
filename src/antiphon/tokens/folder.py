"""What a model's folder, as the Hugging Face hub has them, says in JSON: its vocabulary, its chat template.

Nothing in it is run, and nothing is read beyond a bound. Whatever is wrong raises `ValueError`, which says so
in a few words, or `OSError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
GENERATION_CONFIG, TEMPLATE = "generation_config.json", "chat_template.jinja"
ENDS = {"<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"}
"""Control tokens that end an answer whatever a model says of them, as llama.cpp has it."""
MOST_WORDS = 64 * 1024 * 1024
"""Bytes of a vocabulary's file."""
_MOST = 4 * 1024 * 1024
"""Bytes of any other."""
_DEFAULT = "default"
"""The name of the template for conversations, where there are several."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`specials` maps the text of each special token to its id, `visible` that of added tokens that are text
    in an answer: some special ones, and spaces that are read in one piece."""

    size: int
    specials: dict[str, int]
    visible: dict[str, int]
    ends: frozenset[int]
    """Tokens that end an answer."""
    template: str = ""
    bos: str = ""
    eos: str = ""
    adds_bos: bool = False


class _Added(msgspec.Struct, frozen=True):
    """A token that is found in text before anything else is."""

    id: int
    content: str
    special: bool = False


class _Words(msgspec.Struct, frozen=True):
    """Of `tokenizer.json`, what is not the vocabulary itself."""

    added_tokens: list[_Added] = []
    post_processor: Any = None


def read(folder: Path) -> Facts:
    """The facts of a folder."""
    config, told = document(folder / CONFIG), document(folder / TOKENIZER_CONFIG)
    words = _decoded(folder / TOKENIZER, _bytes(folder / TOKENIZER, MOST_WORDS), _Words)
    size = _size(config, words.added_tokens)
    specials = {added.content: added.id for added in words.added_tokens if is_mark(added.content)}
    steering = {added.content: added.id for added in words.added_tokens if added.special}
    bos, eos = _text(told.get("bos_token")), _text(told.get("eos_token"))
    ends = {number for text, number in steering.items() if text in ENDS}
    ends |= {*_ids(config), *_ids(document(folder / GENERATION_CONFIG, wanted=False))}
    ends |= {specials[eos]} if eos in specials else set()
    ends = {number for number in ends if 0 <= number < size}
    if not ends:
        raise ValueError("it does not say which token ends an answer")
    return Facts(
        size=size,
        specials=specials,
        visible={added.content: added.id for added in words.added_tokens if not added.special},
        ends=frozenset(ends),
        template=_template(folder, told),
        bos=bos if bos in specials else "",
        eos=eos if eos in specials else "",
        adds_bos=bool(told.get("add_bos_token", _begins_with(words.post_processor, bos))),
    )


def document(path: Path, *, most: int = _MOST, wanted: bool = True) -> dict[str, Any]:
    """The JSON object in a file; one that is not `wanted` may be missing, and is empty then."""
    if not wanted and not path.exists():
        return {}
    found: dict[str, Any] = _decoded(path, _bytes(path, most), dict[str, Any])
    return found


def is_mark(text: str) -> bool:
    """Whether an added token is a special one: spaces are text."""
    return bool(text.strip())


def _size(config: dict[str, Any], added: list[_Added]) -> int:
    size = config.get("vocab_size")
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"{CONFIG} does not say how many tokens there are")
    if any(not 0 <= one.id < size for one in added):
        raise ValueError(f"{TOKENIZER} has tokens that the model does not know")
    return size


def _bytes(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path.name} is too long")
    return content


def _decoded(path: Path, content: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(f"{path.name} is not as it should be") from None


def _text(token: Any) -> str:
    """A token's text, which stands alone or among what else is said of it."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""


def _ids(config: dict[str, Any]) -> list[int]:
    """The tokens that a configuration says to end an answer: one, several or none."""
    found = config.get("eos_token_id")
    return [number for number in (found if isinstance(found, list) else [found]) if isinstance(number, int)]


def _template(folder: Path, told: dict[str, Any]) -> str:
    path = folder / TEMPLATE
    if path.exists():
        return _bytes(path, _MOST).decode(errors="replace")
    found = told.get("chat_template")
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get(_DEFAULT)
    return found if isinstance(found, str) else ""


def _begins_with(processor: Any, token: str) -> bool:
    """Whether a post-processor puts this token before a text."""
    if not isinstance(processor, dict) or not token:
        return False
    if isinstance(steps := processor.get("processors"), list):
        return any(_begins_with(step, token) for step in steps)
    single = processor.get("single")
    first = single[0] if isinstance(single, list) and single else None
    mark = first.get("SpecialToken") if isinstance(first, dict) else None
    return isinstance(mark, dict) and mark.get("id") == token
