"""A tiny server that speaks as much of the API as the commands need, and tells what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.path = handler.path
        self.headers: Message = handler.headers
        self._handler = handler

    def body(self) -> bytes:
        return self._handler.rfile.read(int(self.headers["Content-Length"]))

    def answer(
        self, status: int, body: bytes, content_type: str = "application/json", **headers: str
    ) -> None:
        self._begin(status, {"Content-Type": content_type, "Content-Length": str(len(body)), **headers})
        self.send(body)

    def stream(self, **headers: str) -> None:
        """Begin an answer that ends when the connection is closed."""
        self._begin(200, {"Content-Type": "text/event-stream", **headers})

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self._handler.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def send(self, body: bytes) -> None:
        self._handler.wfile.write(body)
        self._handler.wfile.flush()

    def error(self, status: int, message: str, **headers: str) -> None:
        envelope = {"error": {"message": message, "type": "t", "param": None, "code": None}}
        self.answer(status, json.dumps(envelope).encode(), **headers)


class Api:
    """What the server does with a request is `answer`, which a test may replace."""

    def __init__(self) -> None:
        self.answer: Callable[[Exchange], None]
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.keys: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                api.paths.append(self.path)
                api.keys.append(self.headers.get("Authorization", ""))
                try:
                    api.answer(Exchange(self))
                except ConnectionError:
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what matters."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def streams(self, *frames: Any, done: bool = True) -> None:
        """Answer every chat with these frames: a text is a piece of the answer, anything else is itself."""

        def answer(exchange: Exchange) -> None:
            self.bodies.append(json.loads(exchange.body()))
            exchange.stream()
            exchange.send(b": a comment\n\n")
            for frame in frames:
                exchange.send(sse(frame))
            if done:
                exchange.send(b"data: [DONE]\n\n")

        self.answer = answer


def transcript(*texts: str, words: bool = False) -> list[dict[str, Any]]:
    """The events of a stream in `verbose_json`: a segment of two seconds for each text."""
    events: list[dict[str, Any]] = []
    for number, text in enumerate(texts):
        start, end = 2.0 * number, 2.0 * number + 2
        segment = {
            "type": "transcript.text.segment", "id": number, "seek": 0, "start": start, "end": end,
            "text": f" {text}", "tokens": [number], "temperature": 0.0, "avg_logprob": -0.5,
            "compression_ratio": 1.0, "no_speech_prob": 0.25,
        }  # fmt: skip
        if words:
            segment["words"] = [{"word": text, "start": start, "end": end}]
        events += [{"type": "transcript.text.delta", "delta": f" {text}" if number else text}, segment]
    done = {
        "type": "transcript.text.done", "text": " ".join(texts), "language": "german",
        "duration": 2.0 * len(texts), "usage": {"type": "duration", "seconds": 2 * len(texts)},
    }  # fmt: skip
    return [*events, done]


def sse(frame: Any) -> bytes:
    if isinstance(frame, str):
        frame = {"choices": [{"index": 0, "delta": {"content": frame}, "finish_reason": None}]}
    return b"data: " + json.dumps(frame).encode() + b"\n\n"
