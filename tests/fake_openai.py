"""A server of OpenAI's API without a model: known answers, what each kind of server does besides, and faults.

It answers every conversation with " word0 word1 ...", and counts a token for each byte that it is told.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from antiphon.address import Address
from antiphon.values import Deployment, Site

MODEL = "org/model"
KEY = "sk-upstream"
FAULTS = ("hang", "garbage", "half", "eof", "error", "refusal", "finish", "no-done", "no-finish")
"""After `after` words: say nothing more; send what is no JSON; send half an event and close; close; send an
error event; one of a bad request; end with a reason that is none; leave out [DONE], the reason."""


class FakeOpenAI:
    """What it is told can be changed while it runs; `bodies` are the chats that it was asked for."""

    def __init__(self, owned_by: str = "someone", **listed: Any) -> None:
        self.owned_by = owned_by
        self.listed: dict[str, Any] = {"id": MODEL, "object": "model", "owned_by": owned_by, **listed}
        self.key = KEY
        self.status = 200
        self.refusal: Any = {"error": {"message": "the prompt was: secret", "type": "x", "code": None}}
        self.fault = ""
        self.after = 2
        self.words = 5
        self.tells_usage = True
        self.delay = 0.0
        self.call: dict[str, str] | None = None
        self.missing: set[str] = set()
        """Paths that are not there."""
        self.bodies: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.running = 0
        self.location = ""
        self.silent = False
        self.crowded = False
        """Whether it answers 429 to every question about itself."""
        self.forms = {"json", "verbose_json"}
        """Of transcripts, which it knows."""
        self.granularities = {"segment", "word"}
        """Of times, which it tells."""
        self.transcript: dict[str, Any] = {
            "language": "English",
            "duration": "3.1",
            "segments": [
                {
                    "id": 7,
                    "start": 0.0,
                    "end": 1.5,
                    "text": " One two.",
                    "tokens": [1],
                    "no_speech_prob": None,
                },
                {"id": 9, "start": 1.5, "end": 3.0, "text": " Three.", "avg_logprob": -0.25},
            ],
        }

    @property
    def counts_along(self) -> bool:
        return self.owned_by in ("vllm", "sglang")

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.guarded], client_max_size=2**26)
        app.add_routes(
            [
                web.get("/v1/models", self.models),
                web.get("/health", self.well),
                web.get("/lora-adapters", self.well),
                web.post("/tokenize", self.tokenize),
                web.post("/apply-template", self.template),
                web.post("/v1/chat/completions/render", self.tokenize),
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/audio/transcriptions", self.audio),
                web.post("/v1/audio/translations", self.audio),
            ]
        )
        return app

    @web.middleware
    async def guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.silent and request.method == "GET":
            await asyncio.sleep(60)
        if self.crowded and request.method == "GET":
            raise web.HTTPTooManyRequests
        if self.location:
            raise web.HTTPTemporaryRedirect(self.location)
        if request.path.startswith("/v1") and request.headers.get("authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "no"}}, status=401)
        if request.path in self.missing:
            raise web.HTTPNotFound
        return await handler(request)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "other"}, self.listed]})

    async def well(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        text = body.get("content") or json.dumps([body["messages"], body.get("tools")])
        return web.json_response({"tokens": list(text.encode()), "count": len(text)})

    async def template(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"prompt": "".join(one["content"] for one in body["messages"])})

    async def audio(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        said: dict[str, Any] = {}
        for name, value in form.items():
            if isinstance(value, web.FileField):
                with value.file as file:
                    said |= {"file": file.read(), "filename": value.filename}
            else:
                said[name] = [*said.get(name, []), value] if name.endswith("[]") else value
        self.bodies.append(said | {"path": request.path})
        if self.status != 200:
            return web.json_response(self.refusal, status=self.status)
        told = set(said.get("timestamp_granularities[]", ()))
        if said["response_format"] not in self.forms or not told <= self.granularities:
            return web.json_response(self.refusal, status=400)
        await asyncio.sleep(self.delay)
        if self.fault == "garbage":
            return web.Response(body=b"\xff{]")
        transcript = self.transcript if said["response_format"] == "verbose_json" else {}
        return web.json_response({"text": "One two. Three."} | transcript)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if self.status != 200:
            return web.json_response(self.refusal, status=self.status)
        self.running += 1
        try:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            async for piece in self.answer(body):
                await response.write(piece)
            return response
        finally:
            self.running -= 1

    async def answer(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        prompt = len(json.dumps(body["messages"]))
        length = min(body.get("max_tokens", self.words), self.words)
        yield event(choice({"role": "assistant", "content": ""}))
        deltas = list(self.deltas(body, length))
        for number, delta in enumerate(deltas):
            await asyncio.sleep(self.delay)
            if number == self.after and self.fault in ("hang", "garbage", "half", "eof", "error", "refusal"):
                async for piece in self.broken():
                    yield piece
                return
            chunk = choice(delta, logprobs=logprobs(number) if body.get("logprobs") else None)
            if self.counts_along and self.tells_usage:
                chunk["usage"] = usage(prompt, number + 1)
            if self.owned_by == "llamacpp" and body.get("timings_per_token"):
                chunk["timings"] = {"predicted_n": number + 1}
            yield event(chunk)
        if self.fault != "no-finish":
            reason = "length" if length < self.words else "tool_calls" if self.call else "stop"
            yield event(choice({}, "strange" if self.fault == "finish" else reason))
        if self.tells_usage:
            yield event({"choices": [], "usage": usage(prompt, len(deltas))})
        if self.fault != "no-done":
            yield b"data: [DONE]\n\n"

    def deltas(self, body: dict[str, Any], length: int) -> Any:
        if self.call is None or "tools" not in body:
            yield from ({"content": f" word{number}"} for number in range(length))
            return
        function = {"name": self.call["name"], "arguments": ""}
        yield {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}
        for part in (self.call["arguments"][:5], self.call["arguments"][5:]):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}

    async def broken(self) -> AsyncIterator[bytes]:
        """What comes instead of the rest of the answer."""
        match self.fault:
            case "hang":
                await asyncio.Event().wait()
            case "garbage":
                yield b"data: \xff{]\n\n"
            case "half":
                yield event(choice({"content": "whatever"}))[:30]
            case "error":
                yield event({"error": {"code": "server_error", "message": "secret"}})
            case "refusal":
                yield event({"error": {"code": 400, "message": "secret"}})


def choice(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}], "usage": None}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    details = {"cached_tokens": 1}
    return {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": details}


def logprobs(number: int) -> dict[str, Any]:
    token = {"token": f" word{number}", "logprob": -0.5, "bytes": None}
    return {"content": [token | {"top_logprobs": [token, {"token": "x", "logprob": -1.0, "bytes": [120]}]}]}


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


@asynccontextmanager
async def served(fake: FakeOpenAI, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port on which it listens, on 127.0.0.1, for as long as the block runs."""
    runner = web.AppRunner(fake.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def address(port: int, **given: Any) -> Address:
    return Address(**{"host": "127.0.0.1", "port": port, "secret": KEY, "base": "/v1", **given})


def deployment(*urls: str, key_file: str = "", **given: Any) -> Deployment:
    site = Site(urls or ("http://127.0.0.1:1/v1",), MODEL, key_file)
    served = {"snapshot": "m", "task": "chat", "engine": "openai", "context": 8192, "slots": 4}
    return Deployment(model=Path(), site=site, **served | given)


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate that signs itself, for `name` and 127.0.0.1, and its key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    names = f"subjectAltName=DNS:{name}" + (",IP:127.0.0.1" if name == "localhost" else "")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
    ]
    command += ["-addext", names, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key
