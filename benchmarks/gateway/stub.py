"""An upstream that costs next to nothing: it sends bytes that were made beforehand.

    python stub.py (--port N | --socket PATH) [--core N] [--period SECONDS]

It answers in OpenAI's shape over TCP, to whoever has no other, and in llama.cpp's, which Antiphon's engine
client speaks, over a Unix socket. Answers of at most `AT_ONCE` tokens are sent at once, longer ones a token
every period. It imports nothing of this project: the gateway starts it, as it starts any engine, where the
project's folder is not in sight.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import httptools
import msgspec
import uvloop

AT_ONCE = 32
PERIOD = 0.1
"""Seconds between two tokens of a longer answer."""
MODELS = tuple(f"stub-{number}" for number in range(4))
BACKLOG = 4096
ORPHAN_SECONDS = 0.5
_PROMPT_TOKENS = 8
_JSON = b"application/json"
_EVENTS = b"text/event-stream"


class Asked(msgspec.Struct):
    """What matters of a request, in either shape."""

    stream: bool = False
    max_tokens: int | None = None
    n_predict: int = 0


@lru_cache
def text(tokens: int) -> str:
    """What an answer of so many tokens says."""
    return "".join(f" word{number}" for number in range(tokens))


@lru_cache
def openai_answer(tokens: int) -> bytes:
    """A whole answer in OpenAI's shape, as an HTTP response."""
    usage = {
        "prompt_tokens": _PROMPT_TOKENS,
        "completion_tokens": tokens,
        "total_tokens": _PROMPT_TOKENS + tokens,
    }
    message = {"role": "assistant", "content": text(tokens)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}
    return response({**_openai("chat.completion", choice), "usage": usage})


@lru_cache
def openai_pieces(tokens: int) -> Sequence[bytes]:
    """The pieces of an event stream in OpenAI's shape, one a token; the last brings what ends the answer."""
    deltas = [{"content": f" word{number}"} for number in range(tokens)]
    deltas[0]["role"] = "assistant"
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas]
    events = [msgspec.json.encode(_openai("chat.completion.chunk", choice)) for choice in choices]
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    last = msgspec.json.encode(_openai("chat.completion.chunk", end))
    return _chunked(events, [last, b"[DONE]"])


@lru_cache
def llama_pieces(tokens: int, first: int = 0) -> Sequence[bytes]:
    """The same in the shape of llama.cpp's `/completion`; `first` words were written by another before."""
    frame = {"index": 0, "stop": False, "id_slot": -1, "tokens_evaluated": _PROMPT_TOKENS}
    frames = [
        {**frame, "content": f" word{first + number}", "tokens": [number], "tokens_predicted": number + 1}
        for number in range(tokens)
    ]
    end = {**frame, "content": "", "tokens": [], "stop": True, "stop_type": "limit", "stopping_word": "",
           "truncated": False, "tokens_predicted": tokens,
           "timings": {"cache_n": 0, "prompt_n": _PROMPT_TOKENS, "predicted_n": tokens}}  # fmt: skip
    return _chunked([msgspec.json.encode(one) for one in frames], [msgspec.json.encode(end)])


def response(value: object, status: bytes = b"200 OK") -> bytes:
    """A whole answer of JSON."""
    body = msgspec.json.encode(value)
    return _head(status, _JSON, b"content-length: %d" % len(body)) + body


def _openai(kind: str, choice: object) -> dict[str, object]:
    return {"id": "chatcmpl-0", "object": kind, "created": 0, "model": MODELS[0], "choices": [choice]}


def _chunked(events: Sequence[bytes], end: Sequence[bytes]) -> Sequence[bytes]:
    """Events, each a chunk of HTTP/1.1; with the last of them, all that ends the stream."""
    chunks = [b"%x\r\n%b\r\n" % (len(data), data) for data in (b"data: %b\n\n" % event for event in events)]
    closing = b"".join(b"data: %b\n\n" % event for event in end)
    return (*chunks[:-1], chunks[-1] + b"%x\r\n%b\r\n0\r\n\r\n" % (len(closing), closing))


def _head(status: bytes, kind: bytes, length: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: %b\r\n%b\r\n\r\n" % (status, kind, length)


STREAM_HEAD = _head(b"200 OK", _EVENTS, b"transfer-encoding: chunked")
FIXED = {
    b"/health": response({"status": "ok"}),
    b"/lora-adapters": response([]),
    b"/tokenize": response({"tokens": list(range(_PROMPT_TOKENS))}),
    b"/v1/models": response(
        {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "stub"} for name in MODELS]}
    ),
}
UNKNOWN = response({"error": {"message": "no such path"}}, b"404 Not Found")


class Exchange(asyncio.Protocol):
    """One connection: a request, its answer, and so on."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._url, self._body = b"", b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, problem: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url == b"/v1/chat/completions":
            asked = msgspec.json.decode(self._body, type=Asked)
            tokens = asked.max_tokens or 1
            if asked.stream:
                self._stream(openai_pieces(tokens))
            else:
                self._write(openai_answer(tokens))
        elif self._url == b"/completion":
            self._stream(llama_pieces(msgspec.json.decode(self._body, type=Asked).n_predict))
        else:
            self._write(FIXED.get(self._url, UNKNOWN))

    def _stream(self, pieces: Sequence[bytes]) -> None:
        if len(pieces) <= AT_ONCE:
            self._write(STREAM_HEAD + b"".join(pieces))
        else:
            self._transport.write(STREAM_HEAD)
            self._step(pieces, 0, self._loop.time())

    def _step(self, pieces: Sequence[bytes], index: int, due: float) -> None:
        """Send one piece; the moments are counted from the first, so that delays do not add up."""
        if index == len(pieces) - 1:
            self._timer = None
            self._write(pieces[index])
            return
        self._transport.write(pieces[index])
        due += self._period
        self._timer = self._loop.call_at(due, self._step, pieces, index + 1, due)

    def _write(self, answer: bytes) -> None:
        """The end of an answer."""
        self._transport.write(answer)
        if not self._parser.should_keep_alive():
            self._transport.close()


async def serve(given: argparse.Namespace) -> None:
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    loop = asyncio.get_running_loop()

    def exchange() -> Exchange:
        return Exchange(given.period)

    if given.socket:
        server: asyncio.AbstractServer = await loop.create_unix_server(
            exchange, given.socket, backlog=BACKLOG
        )
    else:
        server = await loop.create_server(exchange, "127.0.0.1", given.port, backlog=BACKLOG)
    exit_with_parent(os.getppid())
    await server.serve_forever()


def exit_with_parent(parent: int) -> None:
    """Let nothing run on that nobody is left to end."""
    if os.getppid() != parent:
        os._exit(1)
    asyncio.get_running_loop().call_later(ORPHAN_SECONDS, exit_with_parent, parent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int)
    where.add_argument("--socket")
    parser.add_argument("--core", type=int, help="the only core that it uses")
    parser.add_argument("--period", type=float, default=PERIOD)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
