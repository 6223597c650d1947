"""vLLM's program without vLLM: its command line, and the part of its HTTP API that we use.

It answers what was recorded with the real one (`vllm_cases.py`), any other request with " word0 word1 ...",
and has faults on demand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import web

RECORDED = Path(__file__).parent / "engines" / "vllm.jsonl"
FAULTS = ("crash", "garbage", "half", "eof", "error", "finish", "unfinished")
"""After `after` tokens: end the process; send what is no JSON; send half an event and close; close; send an
error event; end with a reason that is none; go on to the usage without one."""


def program(folder: Path, **options: object) -> Path:
    """An executable file that is to be started as vLLM is."""
    path = folder / "vllm"
    path.write_text(
        f"#!{sys.executable}\nimport runpy, sys\nsys.argv[1:1] = [{json.dumps(json.dumps(options))}]\n"
        f"runpy.run_path({str(Path(__file__).resolve())!r}, run_name='__main__')\n"
    )
    path.chmod(0o700)
    return path


def exchanges() -> list[dict[str, Any]]:
    """What was recorded, in order."""
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


class FakeVllm:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.recorded = exchanges()
        self.running = 0
        self.warm = False
        """Whether log probabilities were asked for, whose computation the real one compiles at first."""

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/is_sleeping", self.is_sleeping),
                web.get("/running", self.count),
                web.get("/warm", self.is_warm),
                web.post("/v1/completions", self.completions),
            ]
        )
        return app

    async def health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def is_sleeping(self, request: web.Request) -> web.Response:
        return web.json_response({"is_sleeping": False})

    async def count(self, request: web.Request) -> web.Response:
        """Requests that are being answered; of the real one, /metrics tells."""
        return web.json_response(self.running)

    async def is_warm(self, request: web.Request) -> web.Response:
        return web.json_response(self.warm)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if not body["stream"]:
            self.warm = bool(body["logprobs"] and body["max_tokens"] == 1)
            return web.json_response({"choices": []})
        exchange = self.find(body) or {"status": 200, "events": list(words(body))}
        if exchange["status"] != 200:
            told = {"error": {"message": str(body), "type": "BadRequestError", "code": exchange["status"]}}
            return web.json_response(told, status=exchange["status"])
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        self.running += 1
        try:
            async for piece in self.pieces(exchange["events"]):
                await response.write(piece)
        finally:
            self.running -= 1
        return response

    def find(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The recording of this request; whose it is may be called otherwise."""
        if self.options.get("status"):
            return {"status": self.options["status"]}
        wanted = without_salt(body)
        return next((one for one in self.recorded if without_salt(one["request"]) == wanted), None)

    async def pieces(self, events: list[str]) -> AsyncIterator[bytes]:
        for number, event in enumerate(events):
            await asyncio.sleep(self.options.get("token_delay", 0.0))
            if self.options.get("fault") and number == self.options.get("after", 0):
                async for piece in self.fault(events):
                    yield piece
                return
            yield f"data: {event}\n\n".encode()

    async def fault(self, events: list[str]) -> AsyncIterator[bytes]:
        """What comes instead of the rest of the answer."""
        match self.options["fault"]:
            case "crash":
                os._exit(9)
            case "garbage":
                yield b"data: \xff{]\n\n"
            case "half":
                yield f"data: {events[0]}"[:40].encode()
            case "error":
                told = {"error": {"message": str(events), "type": "InternalServerError", "code": 500}}
                yield f"data: {json.dumps(told)}\n\ndata: [DONE]\n\n".encode()
            case "finish":
                yield f"data: {chunk('', 1, finish='abort')}\n\ndata: [DONE]\n\n".encode()
            case "unfinished":
                yield f"data: {events[-2]}\n\ndata: [DONE]\n\n".encode()


def without_salt(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "cache_salt"}


def words(body: dict[str, Any]) -> list[str]:
    """The events of an answer of as many words as it may have, five at most."""
    count = min(body["max_tokens"], 5)
    finish = "stop" if count < body["max_tokens"] else "length"
    events = [chunk(f" word{i}", i + 1, finish if i == count - 1 else None) for i in range(count)]
    usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": count}
    return [*events, json.dumps({"id": "cmpl-1", "choices": [], "usage": usage}), "[DONE]"]


def chunk(text: str, count: int, finish: str | None = None) -> str:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish, "stop_reason": None}
    return json.dumps({"id": "cmpl-1", "choices": [choice], "usage": {"completion_tokens": count}})


def exit_with_parent(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)
    asyncio.get_running_loop().call_later(0.25, exit_with_parent, parent)


async def serve(options: dict[str, Any], socket: str) -> None:
    if not options.get("lasting"):
        exit_with_parent(os.getppid())
    runner = web.AppRunner(FakeVllm(options).app(), handler_cancellation=True)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    await asyncio.Event().wait()


def arguments() -> argparse.Namespace:
    """Those that vLLM has and we give; anything else is an error, as with the real one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", type=json.loads, help="of `program`")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model", type=Path)
    for name in ("uds", "served-model-name", "generation-config"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("max-model-len", "max-num-seqs"):
        parser.add_argument(f"--{name}", required=True, type=int)
    for name in ("block-size", "num-gpu-blocks-override", "tensor-parallel-size", "pipeline-parallel-size"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--distributed-executor-backend", choices=["mp", "ray"])
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"])
    for name in ("prefix-caching", "prompt-tokens-details"):
        parser.add_argument(f"--enable-{name}", action="store_true")
    for name in ("no-enable-log-requests", "disable-uvicorn-access-log", "enforce-eager"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    if given.options.get("exit") is not None:
        sys.exit(given.options["exit"])
    asyncio.run(serve(given.options, given.uds))
