"""The prompts of a file as requests for chat completions: every line is checked before any is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from antiphon.api.body import parse
from antiphon.api.validation import convert, refuse_unserved
from antiphon.cli.output import CommandFailed, ExitCode
from antiphon.errors import InvalidRequest
from antiphon.wire.chat import ChatRequest
from antiphon.wire.fields import CHAT

PROMPTS = 10_000
LINE_BYTES = 4 << 20
FILE_BYTES = 64 << 20
ID_CHARACTERS = 200
SEED = 1
"""Where a line chooses neither temperature nor seed, as little as possible is left to chance."""
ROUTE = "/v1/chat/completions"
_BOM = b"\xef\xbb\xbf"
_EXCHANGED = ("model", "stream", "stream_options", "store", "metadata")
"""What is chosen anew, or has nothing to do with the answer."""


class Prompt(msgspec.Struct, frozen=True):
    """A request without its model; `id` is the `custom_id` of the line, or says which line it is."""

    id: str
    body: dict[str, Any]


def read(path: Path, max_tokens: int | None = None) -> list[Prompt]:
    """The prompts of a file: one on each line, as text if its name ends in `.txt`, else as JSON.

    `max_tokens` bounds the answers to lines that set no bound themselves. Raises `CommandFailed`, which names
    the file and the line.
    """
    as_text = path.suffix.lower() == ".txt"
    found: list[Prompt] = []
    try:
        with path.open("rb") as file:
            for number, line in _lines(path, file):
                if len(found) == PROMPTS:
                    raise _wrong(f"{path} holds more than {PROMPTS} prompts")
                try:
                    found.append(prompt(f"line {number}", _said(line) if as_text else line, max_tokens))
                except InvalidRequest as problem:
                    raise _wrong(f"{path}, line {number}: {problem.message}") from None
    except OSError as problem:
        raise CommandFailed(f"{path} cannot be read: {problem.strerror}") from problem
    if not found:
        raise _wrong(f"{path} holds no prompts")
    return found


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, without its end, and its number."""
    total = number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        total += len(line)
        if len(line) > LINE_BYTES:
            raise _wrong(f"{path}, line {number}: it is longer than {LINE_BYTES} bytes")
        if total > FILE_BYTES:
            raise _wrong(f"{path} is longer than {FILE_BYTES} bytes")
        line = (line.removeprefix(_BOM) if number == 1 else line).rstrip(b"\r\n")
        if line.strip():
            yield number, line


def _said(line: bytes) -> bytes:
    """A line of text as the request that says it, in JSON. Raises `InvalidRequest`."""
    try:
        content = line.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("It is not text in UTF-8.") from None
    return msgspec.json.encode({"messages": [{"role": "user", "content": content}]})


def prompt(id: str, line: bytes, max_tokens: int | None) -> Prompt:
    """The request on a line, on its own or as files of OpenAI's batches hold it. Raises `InvalidRequest`.

    `id` is what it is called unless the line says it.
    """
    body = parse(line)
    if isinstance(body, dict) and "body" in body and "messages" not in body:
        route, id, body = body.get("url", ROUTE), body.get("custom_id", id), body["body"]
        if route != ROUTE:
            raise InvalidRequest(f"'url' is not {ROUTE}, the one route that can be compared.")
        if not isinstance(id, str) or not 0 < len(id) <= ID_CHARACTERS:
            raise InvalidRequest(f"'custom_id' is not a string of 1 to {ID_CHARACTERS} characters.")
    if not isinstance(body, dict):
        raise InvalidRequest("The request is not a JSON object.")
    request = _chosen(body, max_tokens)
    _check(request)
    return Prompt(id, request)


def _chosen(body: dict[str, Any], max_tokens: int | None) -> dict[str, Any]:
    """The request with what it leaves open, which it does by null as well, and without what is exchanged."""
    said = {name: value for name, value in body.items() if value is not None and name not in _EXCHANGED}
    bounded = max_tokens is None or said.keys() & {"max_tokens", "max_completion_tokens"}
    bound = {} if bounded else {"max_tokens": max_tokens}
    return {"temperature": 0, "seed": SEED, **bound, **said}


def _check(body: dict[str, Any]) -> None:
    """Raise `InvalidRequest` where the server would, as far as the request's shape tells."""
    request = convert({"model": "any", **body}, ChatRequest)
    refuse_unserved(request, CHAT)
    if request.n not in (None, 1):
        raise InvalidRequest("'n' is not 1: one answer is compared with one.")


def _wrong(message: str) -> CommandFailed:
    return CommandFailed(message, exit_code=ExitCode.USAGE)
