"""A chat engine without a model: llama.cpp's HTTP protocol, answers known beforehand, faults on demand.

It answers every prompt with " word0 word1 ..." (token ids 0, 1, ...), and goes on with one that ends like
that. Run it as a process, by `command`, or put it in the place of a real engine with `kind`, whose client
only probes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

from aiohttp import web

from antiphon.address import Address, listening
from antiphon.engines.base import EngineKind
from antiphon.engines.upstream import Upstream
from antiphon.values import Feature, Format

FAULTS = ("crash", "hang", "garbage", "half", "eof", "error", "memory")
"""After `--after` tokens: end the process; say nothing more; send what is no JSON; send half an event and
close; close; send an error event; take memory without end."""


def command(address: Address, **options: object) -> list[str]:
    """The argument list of a fake engine; options as in `arguments`, with underscores."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return [sys.executable, str(Path(__file__).resolve()), f"--listen={address}", *flags]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=listening, required=True)
    parser.add_argument("--slots", type=int, default=4, help="requests served at once; others wait")
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--tokens", type=int, default=5, help="length of an answer, if n_predict allows")
    parser.add_argument("--ready-after", type=float, default=0.0, help="seconds of 503; inf: for ever")
    parser.add_argument("--prompt-delay", type=float, default=0.0, help="seconds before the first token")
    parser.add_argument("--token-delay", type=float, default=0.0, help="seconds before every token")
    parser.add_argument("--crowd-delay", type=float, default=0.0, help="and more for each other request")
    parser.add_argument("--end-file", type=Path, help="answers end once this file is there")
    parser.add_argument("--exit", type=int, help="end at the start, with this exit code")
    parser.add_argument("--lifetime", type=float, default=math.inf, help="seconds after which it crashes")
    parser.add_argument("--status", type=int, default=200, help="what /completion answers")
    parser.add_argument("--leak", type=int, default=0, help="bytes that each answer leaves behind")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--after", type=int, default=0, help="tokens before the fault")
    return parser.parse_args()


class ProbeClient:
    """The client of a fake engine, for tests that need no answers; `upstream` reaches the rest."""

    def __init__(self, address: Address, unusable: Collection[str] = ()) -> None:
        self.upstream = Upstream(address)
        self.unusable = unusable

    async def probe(self) -> Collection[str]:
        await self.upstream.get("/lora-adapters")
        return self.unusable

    async def close(self) -> None:
        await self.upstream.close()


def kind(
    *,
    name: str = "fake",
    shared: bool = False,
    unusable: Collection[str] = (),
    features: Collection[Feature] = (),
    reads: Collection[Format] = ("gguf",),
    absent: str = "",
    unsuited: Callable[[], str] = lambda: "",
    preparation: Callable[[Path, Path], list[str]] | None = None,
    preparation_version: str = "",
    **options: object,
) -> EngineKind:
    """A kind whose processes run with these options, and without the models `unusable`."""
    return EngineKind(
        name=name,
        task="chat",
        reads=frozenset(reads),
        features=frozenset(features),
        absent=lambda settings: absent,
        unsuited=lambda settings: unsuited(),
        preparation=preparation,
        preparation_version=preparation_version,
        shared=shared,
        command=lambda deployments, settings, address: command(
            address, slots=sum(d.slots for d in deployments), **options
        ),
        connect=lambda deployments, settings, address: ProbeClient(address, unusable),
    )


class FakeEngine:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.ready_at = time.monotonic() + options.ready_after
        self.free = list(range(options.slots))
        self.slot_freed = asyncio.Condition()
        self.leaked: list[bytes] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self.guarded, self.loading])
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/slots", self.slots),
                web.get("/props", self.props),
                web.get("/lora-adapters", self.lora_adapters),
                web.post("/tokenize", self.tokenize),
                web.post("/detokenize", self.detokenize),
                web.post("/completion", self.completion),
            ]
        )
        return app

    @web.middleware
    async def guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        secret = self.options.listen.secret
        if secret and request.headers.get("authorization") != f"Bearer {secret}":
            raise web.HTTPUnauthorized
        return await handler(request)

    @web.middleware
    async def loading(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if time.monotonic() < self.ready_at:
            return web.json_response({"error": {"code": 503, "message": "Loading model"}}, status=503)
        return await handler(request)

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def lora_adapters(self, request: web.Request) -> web.Response:
        return web.json_response([])

    async def slots(self, request: web.Request) -> web.Response:
        return web.json_response(
            [
                {"id": i, "n_ctx": self.options.context, "is_processing": i not in self.free}
                for i in range(self.options.slots)
            ]
        )

    async def props(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "chat_template": "{{ messages }}",
                "default_generation_settings": {"n_ctx": self.options.context},
                "total_slots": self.options.slots,
            }
        )

    async def tokenize(self, request: web.Request) -> web.Response:
        """One token for each byte of text; numbers stay as they are."""
        content = (await request.json())["content"]
        pieces = content if isinstance(content, list) else [content]
        tokens: list[int] = []
        for piece in pieces:
            tokens += [piece] if isinstance(piece, int) else list(piece.encode())
        return web.json_response({"tokens": tokens})

    async def detokenize(self, request: web.Request) -> web.Response:
        """The bytes that tokens stand for, as text."""
        tokens = (await request.json())["tokens"]
        return web.json_response({"content": bytes(tokens).decode(errors="replace")})

    async def completion(self, request: web.Request) -> web.StreamResponse:
        if self.options.status != 200:
            return web.json_response({"error": {"message": "as asked"}}, status=self.options.status)
        body = await request.json()
        async with self.slot_freed:
            await self.slot_freed.wait_for(lambda: self.free)
            slot = self.free.pop(0)
        try:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            async for piece in self.answer(body):
                await response.write(piece)
            return response
        finally:
            self.leaked.append(b"x" * self.options.leak)
            self.free.append(slot)
            async with self.slot_freed:
                self.slot_freed.notify()

    async def answer(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        wanted, said = body.get("n_predict", -1), words(body["prompt"])
        whole = max(0, self.options.tokens - said)
        length = whole if wanted < 0 else min(wanted, whole)
        prompt = len(body["prompt"])
        await asyncio.sleep(self.options.prompt_delay)
        for i in range(length):
            others = self.options.slots - len(self.free) - 1
            await asyncio.sleep(self.options.token_delay + others * self.options.crowd_delay)
            if self.options.end_file and self.options.end_file.exists():
                length = i
                break
            if self.options.fault and i == self.options.after:
                async for piece in self.fault():
                    yield piece
                return
            yield event(token(i, prompt, body.get("n_probs", 0), said))
        last = {
            "index": 0, "content": "", "tokens": [], "stop": True, "truncated": False, "stopping_word": "",
            "stop_type": "limit" if 0 <= wanted <= length else "eos",
            "tokens_predicted": length, "tokens_evaluated": prompt,
            "timings": {"cache_n": 0, "prompt_n": prompt, "predicted_n": length},
        }  # fmt: skip
        yield event(last)

    async def fault(self) -> AsyncIterator[bytes]:
        """What comes instead of the rest of the answer."""
        match self.options.fault:
            case "crash":
                os._exit(9)
            case "hang":
                await asyncio.Event().wait()
            case "garbage":
                yield b"data: \xff{]\n\n"
            case "half":
                yield event(token(self.options.after, 0, 0))[:20]
            case "memory":
                taken = []
                while True:
                    taken.append(b"x" * (1 << 20))
            case "error":
                yield event({"error": {"code": 500, "message": "as asked", "type": "server_error"}})


def words(prompt: list[int]) -> int:
    """How many words of an answer a prompt ends with."""
    text = bytes(token if token < 256 else 0 for token in prompt).decode("latin-1")
    return len(re.findall(r" word\d+", re.search(r"(?: word\d+)*$", text)[0]))  # type: ignore[index]


def token(i: int, prompt: int, n_probs: int, said: int = 0) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "index": 0, "content": f" word{said + i}", "tokens": [said + i], "stop": False, "id_slot": -1,
        "tokens_predicted": i + 1, "tokens_evaluated": prompt,
    }  # fmt: skip
    if n_probs:
        top = [probability(i + rank, -0.5 - rank) for rank in range(n_probs)]
        frame["completion_probabilities"] = [probability(i, -0.5) | {"top_logprobs": top}]
    return frame


def probability(i: int, logprob: float) -> dict[str, Any]:
    text = f" word{i}"
    return {"id": i, "token": text, "bytes": list(text.encode()), "logprob": logprob}


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def exit_with_parent(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)
    asyncio.get_running_loop().call_later(0.25, exit_with_parent, parent)


async def serve(options: argparse.Namespace) -> None:
    exit_with_parent(os.getppid())
    if options.lifetime < math.inf:
        asyncio.get_running_loop().call_later(options.lifetime, os._exit, 3)
    # A client that goes away cancels its generation, as in llama.cpp.
    runner = web.AppRunner(FakeEngine(options).app(), handler_cancellation=True)
    await runner.setup()
    at = options.listen
    site = web.UnixSite(runner, at.path) if at.path else web.TCPSite(runner, at.host, at.port)
    await site.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = arguments()
    if given.exit is not None:
        sys.exit(given.exit)
    asyncio.run(serve(given))
