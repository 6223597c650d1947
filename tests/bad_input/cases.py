"""What a case of bad input is, how it is sent over a socket, and what every answer must be like."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jsonschema
from benchmarks.processes import Server

CHAT = "/v1/chat/completions"
ENGINE = "/v1/engines/gpt-3.5-turbo/chat/completions"
RENDER = "/v1/chat/completions/render"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
MODERATIONS = "/v1/moderations"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"

JSON = "application/json"
BOUNDARY = "boundary-of-the-form"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"

ANSWER_SECONDS = 10.0
SPEECH_SECONDS = 60.0
_REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request with a valid key, and what it may be answered with.

    `body` is made when the case runs; `param` is the parameter that an error must name, whole or by a path
    that begins with it; `text` what a 200 must say; `valid` the JSON schema of what a chat must answer if
    it is not cut off.
    """

    id: str
    path: str
    body: Callable[[], bytes]
    statuses: Sequence[int]
    content_type: str | None = JSON
    param: str | None = None
    text: str | None = None
    valid: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    seconds: float = ANSWER_SECONDS


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def error(self) -> Mapping[str, Any]:
        return dict(json.loads(self.body)["error"])


def answered(server: Server, case: Case) -> Answer:
    """Send the case and check its answer by every rule."""
    answer = send(server, request(server, case), case.seconds)
    said = f"{case.id}: {answer.status} after {answer.seconds:.1f} s, {answer.body[:500]!r}"
    assert answer.status in case.statuses, said
    assert answer.seconds <= case.seconds, said
    check(answer)
    if answer.status != 200 and case.param is not None:
        assert re.match(re.escape(case.param) + r"($|[\[.])", str(answer.error["param"])), said
    if answer.status == 200 and case.text is not None:
        assert json.loads(answer.body)["text"] == case.text, said
    if answer.status == 200 and case.valid is not None:
        [choice] = json.loads(answer.body)["choices"]
        if choice["finish_reason"] == "stop":
            # Schemas that the standard does not allow are tried as well.
            jsonschema.Draft202012Validator(case.valid).validate(json.loads(choice["message"]["content"]))
    return answer


def request(server: Server, case: Case) -> bytes:
    """The request as bytes, with the key."""
    body = case.body()
    headers = {"authorization": f"Bearer {server.key}", **case.headers}
    if case.content_type is not None:
        headers["content-type"] = case.content_type
    if case.chunked:
        headers["transfer-encoding"] = "chunked"
        body = b"".join(_chunk(body[first : first + 65_536]) for first in range(0, len(body), 65_536))
        return head("POST", case.path, headers) + body + _chunk(b"")
    return head("POST", case.path, {**headers, "content-length": str(len(body))}) + body


def head(method: str, target: str, headers: Mapping[str, str], host: str = "localhost") -> bytes:
    """The head of a request; nothing is escaped."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def send(server: Server, raw: bytes, seconds: float = ANSWER_SECONDS) -> Answer:
    """Send bytes as they are, on a connection of their own, and read one answer."""
    address = urlsplit(server.root)
    began = time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        # Refused before all of it was sent: then the answer is there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            body = response.read()
        finally:
            response.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body, time.monotonic() - began)


def check(answer: Answer) -> None:
    """What is true of every answer: never our fault, a request id, and errors in the API's one shape."""
    assert answer.status < 500, answer.body[:500]
    assert _REQUEST_ID.fullmatch(answer.headers.get("x-request-id", ""))
    if answer.status == 200:
        return
    assert answer.headers["content-type"] == "application/json"
    found = json.loads(answer.body)
    assert list(found) == ["error"]
    error = found["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["message"] and isinstance(error["message"], str) and isinstance(error["type"], str)
    assert all(error[name] is None or isinstance(error[name], str) for name in ("param", "code"))


def form(
    fields: Sequence[tuple[str, str | bytes]] = (("model", "whisper-1"),),
    file: bytes | None = None,
    filename: str = "speech.wav",
) -> bytes:
    """A well-formed multipart form; the file comes last."""
    parts = [part(f'form-data; name="{name}"', _bytes(value)) for name, value in fields]
    if file is not None:
        parts.append(part(f'form-data; name="file"; filename="{filename}"', file))
    return b"".join(parts) + end()


def part(disposition: str, content: bytes, *headers: str) -> bytes:
    lines = [f"--{BOUNDARY}", f"Content-Disposition: {disposition}", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + content + b"\r\n"


def end() -> bytes:
    return f"--{BOUNDARY}--\r\n".encode()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
