"""Requests to the speech engine's application, spoken as ASGI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.types import Message

from antiphon.wire.transcript_events import TranscriptEvent

BOUNDARY = "frontier"


class Exchange:
    """One request. The client stays until `leave`."""

    def __init__(self, path: str, body: bytes = b"", method: str = "POST") -> None:
        self.scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
            "scheme": "http", "query_string": b"", "http_version": "1.1", "server": None, "client": None,
            "headers": [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())],
        }  # fmt: skip
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.sent: list[Message] = []

    async def through(self, app: Starlette) -> Exchange:
        async with asyncio.timeout(30):
            await app(self.scope, self.incoming.get, self.send)
        return self

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]

    @property
    def events(self) -> list[Any]:
        """Those that have come so far; each is what `TranscriptEvent` says, or an error."""
        frames = [frame.removeprefix("data: ") for frame in self.body.decode().split("\n\n")[:-1]]
        for frame in frames:
            if not frame.startswith('{"error"'):
                msgspec.json.decode(frame, type=TranscriptEvent)
        return [json.loads(frame) for frame in frames]


def form(file: bytes | None, /, **fields: str) -> bytes:
    lines = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'
        for n, v in fields.items()
    ]
    head = "".join(lines).encode()
    if file is not None:
        disposition = b'content-disposition: form-data; name="file"; filename="recording"\r\n\r\n'
        head += f"--{BOUNDARY}\r\n".encode() + disposition + file + b"\r\n"
    return head + f"--{BOUNDARY}--\r\n".encode()
