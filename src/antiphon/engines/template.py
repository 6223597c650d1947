"""Chat templates: from messages to what the model reads, with no way for a message to forge a special token.

A model marks the turns of a conversation with special tokens such as `<|im_end|>`. When a rendered prompt is
tokenized as one string, a user who writes that mark becomes the template. Here every special token inside a
message is broken up with a mark before rendering, so that only the template's own remain whole; the rendered
text is then cut at those, and everything between is tokenized as plain text.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from antiphon.errors import InvalidRequest
from antiphon.values import Message

Piece = str | int
"""Plain text, or the id of a special token."""


class Rendered(msgspec.Struct, frozen=True):
    """A prompt before tokenization: its text, and the pieces that are to become tokens."""

    text: str
    pieces: list[Piece]


class ChatTemplate:
    """A Jinja template in a sandbox, with the special tokens of the vocabulary it writes for."""

    def __init__(self, source: str, specials: Mapping[str, int], *, bos: str = "", eos: str = "") -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
        )
        environment.globals["raise_exception"] = _refuse
        self._template = environment.from_string(source)
        self._specials = dict(specials)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        longest_first = sorted(specials, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._forged = re.compile(
            "|".join(f"{re.escape(s)}|{_begun(s)}" for s in longest_first if s) or r"(?!)", re.DOTALL
        )

    def render(self, messages: Sequence[Message]) -> Rendered:
        """The conversation as text and pieces, ready for the assistant's answer.

        Raises `InvalidRequest` when the template refuses the conversation (alternating roles, for instance).
        """
        mark = self._mark(messages)
        try:
            marked = self._template.render(
                messages=[self._guarded(message, mark) for message in messages],
                add_generation_prompt=True,
                **self._tokens,
            )
        except jinja2.TemplateError:
            raise InvalidRequest(
                "This model's chat template does not accept this sequence of messages.", param="messages"
            ) from None
        return Rendered(marked.replace(mark, ""), list(self._cut(marked, mark)))

    def _mark(self, messages: Sequence[Message]) -> str:
        """A string that stands in no message: private-use characters around a random number."""
        while any((mark := f"\ue000{secrets.token_hex(4)}\ue001") in m.content for m in messages):
            continue
        return mark

    def _guarded(self, message: Message, mark: str) -> dict[str, Any]:
        """The message as the template sees it: special tokens in it broken after their first character."""
        content = self._forged.sub(lambda found: found[0][0] + mark + found[0][1:], message.content)
        return {"role": message.role, "content": content, "name": message.name}

    def _cut(self, marked: str, mark: str) -> list[Piece]:
        pieces: list[Piece] = []
        end = 0
        for found in self._whole.finditer(marked):
            pieces += [marked[end : found.start()].replace(mark, ""), self._specials[found[0]]]
            end = found.end()
        pieces.append(marked[end:].replace(mark, ""))
        return [piece for piece in pieces if piece != ""]


def _begun(special: str) -> str:
    """A pattern for a special token begun at the end of a text, which the template could complete."""
    beginnings = (re.escape(special[:length]) for length in range(len(special) - 1, 0, -1))
    return "|".join(rf"{beginning}\Z" for beginning in beginnings) or r"(?!)"


def _refuse(message: str) -> str:
    raise jinja2.TemplateError(message)


def reviewed(name: str) -> str:
    """The source of a template that ships with Antiphon. Raises `KeyError` if there is none of that name."""
    found = files("antiphon.engines") / "templates" / f"{name}.jinja"
    if not name.isidentifier() or not found.is_file():
        raise KeyError(name)
    return found.read_text(encoding="utf-8")
