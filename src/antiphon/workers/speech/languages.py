"""Which languages a model was trained on, as the files beside its weights tell."""

from __future__ import annotations

from pathlib import Path

import msgspec

_ENGLISH_ONLY = 50_256
"""Where control tokens begin in models of English alone: others have one token more than GPT-2."""


class _Token(msgspec.Struct, frozen=True):
    id: int
    content: str


class _Tokenizer(msgspec.Struct, frozen=True):
    added_tokens: list[_Token]


def languages(folder: Path) -> frozenset[str] | None:
    """Codes of the languages; None where the files do not tell, which is found out when it is loaded."""
    try:
        found = msgspec.json.decode((folder / "tokenizer.json").read_bytes(), type=_Tokenizer)
        numbers = {token.content.strip("<|>"): token.id for token in found.added_tokens}
        if numbers["endoftext"] == _ENGLISH_ONLY:
            return frozenset({"en"})
        # Other control tokens have such names, too; languages stand between the start and the tasks.
        first, last = numbers["startoftranscript"], numbers["translate"]
    except (OSError, msgspec.DecodeError, KeyError):
        return None
    return frozenset(name for name, number in numbers.items() if first < number < last)
