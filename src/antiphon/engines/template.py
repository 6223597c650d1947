"""Chat templates: from messages to what the model reads, with no way for a message to forge a special token.

A model marks the turns of a conversation with special tokens such as `<|im_end|>`. When a rendered prompt is
tokenized as one string, a user who writes that mark becomes the template. Here every special token inside a
message is broken up with a mark before rendering, so that only the template's own remain whole; the rendered
text is then cut at those, and everything between is tokenized as plain text.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from antiphon.engines.spoken import described, spoken
from antiphon.errors import InvalidRequest
from antiphon.grammar.calls import BEGIN
from antiphon.values import Function, Message

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
        # Jinja's own writes for HTML, where models have learned from plain JSON.
        environment.filters["tojson"] = _json
        self._template = environment.from_string(source)
        self._knows_functions = "tools" in source and BEGIN in source
        self._specials = dict(specials)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        longest_first = sorted(specials, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._forged = re.compile(
            "|".join(f"{re.escape(s)}|{_begun(s)}" for s in longest_first if s) or r"(?!)", re.DOTALL
        )

    def render(self, messages: Sequence[Message], functions: Sequence[Function] = ()) -> Rendered:
        """The conversation as text and pieces, ready for the assistant's answer.

        Raises `InvalidRequest` when the template refuses the conversation (alternating roles, for instance).
        """
        given: dict[str, Any] = {}
        if not self._knows_functions:
            messages = spoken(messages, functions)
        elif functions:
            given["tools"] = [{"type": "function", "function": described(one)} for one in functions]
        given["messages"] = [_told(message) for message in messages]
        mark = _mark(given)
        try:
            marked = self._template.render(
                **self._guarded(given, mark),
                add_generation_prompt=True,
                **self._tokens,
            )
        except jinja2.TemplateError:
            raise InvalidRequest(
                "This model's chat template does not accept this sequence of messages.", param="messages"
            ) from None
        return Rendered(marked.replace(mark, ""), list(self._cut(marked, mark)))

    def _guarded(self, value: Any, mark: str) -> Any:
        """What the template is given, with special tokens in all texts broken after their first character."""
        match value:
            case str():
                return self._forged.sub(lambda found: found[0][0] + mark + found[0][1:], value)
            case dict():
                return {self._guarded(k, mark): self._guarded(one, mark) for k, one in value.items()}
            case list():
                return [self._guarded(one, mark) for one in value]
            case _:
                return value

    def _cut(self, marked: str, mark: str) -> list[Piece]:
        pieces: list[Piece] = []
        end = 0
        for found in self._whole.finditer(marked):
            pieces += [marked[end : found.start()].replace(mark, ""), self._specials[found[0]]]
            end = found.end()
        pieces.append(marked[end:].replace(mark, ""))
        return [piece for piece in pieces if piece != ""]


def _told(message: Message) -> dict[str, Any]:
    """A message as templates know it."""
    told: dict[str, Any] = {"role": message.role, "content": message.content, "name": message.name}
    if message.calls:
        told["tool_calls"] = [
            {"type": "function", "function": {"name": one.name, "arguments": _read(one.arguments)}}
            for one in message.calls
        ]
    return told


def _read(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments  # as the model wrote them


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _mark(given: Any) -> str:
    """A string that stands nowhere in what is given: private-use characters around a random number."""
    text = _json(given)
    while (mark := f"\ue000{secrets.token_hex(4)}\ue001") in text:
        continue
    return mark


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
