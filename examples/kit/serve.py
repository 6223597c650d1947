"""Serves the page of an application on this machine, and streams what happens to it.

The client is set by its own environment: OPENAI_BASE_URL and OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from openai import APIConnectionError, APIError, AsyncOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

SHARED = Path(__file__).parent / "page"
"""Style and script that all pages use, under `/kit/`."""
LARGEST_BODY = 256 * 1024
POLICY = "default-src 'self'; media-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
"""A page loads its own files alone, and plays what it has recorded itself."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
Event = dict[str, Any]
"""Something that happens while a request is answered: a line of JSON of the answer."""


class Page(StaticFiles):
    """Files of a page, which may load nothing from elsewhere."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


async def body(request: Request, most: int = LARGEST_BODY) -> bytes:
    """The body; refuses more than `most` bytes with 413."""
    got = bytearray()
    async for piece in request.stream():
        got += piece
        if len(got) > most:
            raise HTTPException(413, f"This is too large: {most // 1024} KiB at most.")
    return bytes(got)


async def sent(request: Request) -> dict[str, Any]:
    """The body as a JSON object; refuses anything else with 400."""
    try:
        found = json.loads(await body(request))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "Send a JSON object.")
    return found


def text_of(found: dict[str, Any], name: str, most: int) -> str:
    """A text of a JSON object, 1 to `most` letters; refuses anything else with 400."""
    text = found.get(name)
    if not isinstance(text, str) or not 0 < len(text := text.strip()) <= most:
        raise HTTPException(400, f"{name} has 1 to {most} letters.")
    return text


def streamed(events: AsyncIterator[Event]) -> Response:
    """Answer with events, a line of JSON each; what the server of the model refuses is the last of them."""

    async def lines() -> AsyncIterator[str]:
        try:
            async for event in events:
                yield json.dumps(event) + "\n"
        except APIError as problem:
            yield json.dumps({"error": said(problem)}) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=HEADERS)


def answering(path: str, act: Callable[[dict[str, Any]], AsyncIterator[Event]]) -> Route:
    """Where a page posts a JSON object and gets events; `act` may refuse it at once, by `HTTPException`."""

    async def answered(request: Request) -> Response:
        return streamed(act(await sent(request)))

    return Route(path, answered, methods=["POST"])


def said(problem: APIError) -> str:
    """An error of the API, for people: the server's own words, if it has said any."""
    if isinstance(problem, APIConnectionError):
        return "The server of the model cannot be reached. Is it running?"
    found = problem.body if isinstance(problem.body, dict) else {}
    return str(found.get("message") or problem.message)


def options(about: str, port: int) -> argparse.ArgumentParser:
    """The options that every application has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, default=port, help=f"where the page is, on 127.0.0.1 ({port})")
    parser.add_argument("--model", default="gpt-3.5-turbo", help="the chat model (gpt-3.5-turbo)")
    return parser


def connected() -> AsyncOpenAI:
    """The client. Ends the program if no server is set, and warns if it does not answer well."""
    if missing := [name for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if not os.environ.get(name)]:
        sys.exit(
            f"Set {' and '.join(missing)} first. For Antiphon on this machine:\n"
            "  export OPENAI_BASE_URL=http://127.0.0.1:8000/v1\n"
            "  export OPENAI_API_KEY=sk-…    (antiphon keys create --name examples prints one)"
        )
    try:
        OpenAI(max_retries=0, timeout=5).models.list()
    except APIError as problem:
        print(f"{os.environ['OPENAI_BASE_URL']} does not answer well: {said(problem)}", file=sys.stderr)
        print("Start it, with antiphon serve, or set another address or key.", file=sys.stderr)
    return AsyncOpenAI()


def serve(name: str, page: Path, routes: Sequence[BaseRoute], port: int) -> None:
    """Serve the files of a page, and what it asks, until it is interrupted."""

    def refused(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)
        return JSONResponse({"error": problem.detail}, problem.status_code, HEADERS)

    files = [Mount("/kit", Page(directory=SHARED)), Mount("/", Page(directory=page, html=True))]
    app = Starlette(
        routes=[*routes, *files],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={HTTPException: refused},
    )
    print(f"{name} is at http://127.0.0.1:{port}", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
