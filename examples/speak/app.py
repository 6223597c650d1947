"""A speaking companion: it hears you, answers, and tells how you spoke.

    python examples/speak/app.py --port 8105

It is set by the client's own environment: OPENAI_BASE_URL and OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from feedback import feedback
from openai import APIError, AsyncOpenAI, OpenAI
from partner import Partner
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent
LARGEST_RECORDING = 10 * 1024 * 1024
LONGEST_TEXT = 4000


class Page(StaticFiles):
    """The page's files; whatever is not among them may not run or be loaded."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = "default-src 'self'; frame-ancestors 'none'"
        response.headers["cache-control"] = "no-cache"
        return response


async def sentences(_: Request) -> Response:
    """The target sentences to choose from."""
    return FileResponse(HERE / "sentences.json")


async def hear(request: Request) -> Response:
    """What is said in the recording that is the body, and how; `?target=` is what was to be said."""
    kind, _, subtype = request.headers.get("content-type", "").partition(";")[0].partition("/")
    if kind != "audio":
        return JSONResponse({"message": "Send a recording."}, 415)
    recording = bytearray()
    async for piece in request.stream():
        recording += piece
        if len(recording) > LARGEST_RECORDING:
            return JSONResponse({"message": "The recording is too long: 10 MiB at most."}, 413)
    try:
        text, words = await request.app.state.partner.hear(bytes(recording), subtype)
    except APIError as problem:
        return JSONResponse({"message": said(problem)}, 502)
    told = feedback(request.query_params.get("target", "")[:LONGEST_TEXT], words)
    return JSONResponse({"text": text, "feedback": told})


async def answer(request: Request) -> Response:
    """The partner's answer, as a line of JSON for each piece of it, or for an error."""
    if request.headers.get("content-type") != "application/json":
        return JSONResponse({"message": "Send JSON."}, 415)
    try:
        sent = json.loads(await request.body())
        turns = [{"role": spoken(turn["role"]), "content": str(turn["content"])} for turn in sent["turns"]]
        text = str(sent["text"])[:LONGEST_TEXT]
    except (ValueError, KeyError, TypeError) as problem:
        return JSONResponse({"message": f"This is no turn of a conversation: {problem!r}"}, 400)
    lines = pieces(request.app.state.partner, turns, text)
    return StreamingResponse(lines, media_type="application/x-ndjson")


def spoken(role: str) -> str:
    """The role itself; raises `ValueError` if it is none of those who talk."""
    if role not in ("user", "assistant"):
        raise ValueError(role)
    return role


async def pieces(partner: Partner, turns: list[dict[str, str]], text: str) -> AsyncIterator[str]:
    try:
        async for piece in partner.answer(turns, text):
            yield json.dumps({"delta": piece}) + "\n"
    except APIError as problem:
        yield json.dumps({"error": said(problem)}) + "\n"


def said(problem: APIError) -> str:
    """The server's own words, if it has said any."""
    body = problem.body if isinstance(problem.body, dict) else {}
    return str(body.get("message") or problem.message)


def build(partner: Partner) -> Starlette:
    """The application around a partner."""
    app = Starlette(
        routes=[
            Route("/sentences", sentences),
            Route("/hear", hear, methods=["POST"]),
            Route("/answer", answer, methods=["POST"]),
            Mount("/", Page(directory=HERE / "page", html=True)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )
    app.state.partner = partner
    return app


def main() -> None:
    options = argparse.ArgumentParser(description="A speaking companion.")
    options.add_argument("--port", type=int, default=8105, help="port of 127.0.0.1 (8105)")
    options.add_argument("--model", default="gpt-3.5-turbo", help="chat model (gpt-3.5-turbo)")
    options.add_argument("--speech-model", default="whisper-1", help="speech model (whisper-1)")
    chosen = options.parse_args()
    missing = [name for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if not os.environ.get(name)]
    if missing:
        sys.exit(
            f"Set {' and '.join(missing)} first. For Antiphon on this machine:\n"
            "  export OPENAI_BASE_URL=http://127.0.0.1:8000/v1\n"
            "  export OPENAI_API_KEY=sk-…    (antiphon keys create --name speak prints one)"
        )
    try:
        OpenAI(max_retries=0, timeout=5).models.list()
    except APIError as problem:
        print(f"{os.environ['OPENAI_BASE_URL']} does not answer well: {said(problem)}", file=sys.stderr)
        print("Start the server, with antiphon serve, or set another address or key.", file=sys.stderr)
    partner = Partner(AsyncOpenAI(), chosen.model, chosen.speech_model)
    print(f"Speak is at http://127.0.0.1:{chosen.port}", flush=True)
    uvicorn.run(build(partner), host="127.0.0.1", port=chosen.port, log_level="warning")


if __name__ == "__main__":
    main()
