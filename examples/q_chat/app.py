"""Q-Chat, an adaptive tutor over study material: `python examples/q_chat/app.py` serves its page."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import lessons
import reading
import uvicorn
from author import Author, Unusable
from lessons import Session
from openai import APIConnectionError, APIError, AsyncOpenAI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent
TEXTS = sorted(path.name for path in (HERE / "texts").iterdir())
COOKIE = "q_chat"
MOST_SESSIONS = 50
LONGEST_ANSWER = 2000
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
HOW_TO_START = """Q-Chat asks a server of OpenAI's API, which it is told by the environment:

    export OPENAI_BASE_URL=http://127.0.0.1:8000/v1
    export OPENAI_API_KEY=sk-…    (the key that `antiphon serve` printed at its first start)
"""


class Desk:
    """The routes of the page."""

    def __init__(self, author: Author, address: str) -> None:
        self._author, self._address = author, address
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    async def state(self, request: Request) -> Response:
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        return JSONResponse({"texts": TEXTS, **(lessons.shown(session) if session else {})})

    async def take(self, request: Request) -> Response:
        """Study a file: the body, or one of `texts/` by its name."""
        name = request.query_params.get("name", "material")[:100]
        content = (
            (HERE / "texts" / name).read_bytes()
            if request.query_params.get("bundled") and name in TEXTS
            else b""
        )
        async for piece in request.stream():
            content += piece
            if len(content) > reading.MOST_BYTES:
                return _refusal(f"The file is larger than {reading.MOST_BYTES // 1_000_000} MB.", 413)
        try:
            material = await asyncio.to_thread(reading.read, name, content)
        except reading.Unreadable as problem:
            return _refusal(str(problem))
        session, cookie = Session.of(material), secrets.token_urlsafe()
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        self._sessions[cookie] = session
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        response = JSONResponse(lessons.shown(session))
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict")
        return response

    async def question(self, request: Request) -> Response:
        session, body = self._session(request), await _body(request)
        return (
            self._answer(lessons.asked(self._author, session.tutor, body.get("section")))
            if session
            else _nothing_yet()
        )

    async def answer(self, request: Request) -> Response:
        session, said = self._session(request), (await _body(request)).get("said")
        if session is None or session.tutor.item is None:
            return _nothing_yet()
        if not isinstance(said, str) or not said.strip():
            return _refusal("The answer is empty.")
        return self._answer(lessons.graded(self._author, session.tutor, said[:LONGEST_ANSWER]))

    async def ask(self, request: Request) -> Response:
        session, said = self._session(request), (await _body(request)).get("said")
        if session is None:
            return _nothing_yet()
        if not isinstance(said, str) or not said.strip():
            return _refusal("The question is empty.")
        return self._answer(lessons.told(self._author, session, said[:LONGEST_ANSWER]))

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(COOKIE, "")
        if cookie in self._sessions:
            self._sessions.move_to_end(cookie)
        return self._sessions.get(cookie)

    def _answer(self, events: AsyncIterator[dict[str, Any]]) -> Response:
        """Events, one JSON object a line; what the server refused is the last of them."""

        async def lines() -> AsyncIterator[str]:
            try:
                async for event in events:
                    yield json.dumps(event) + "\n"
            except APIConnectionError:
                yield (
                    json.dumps({"error": f"Nothing answers at {self._address}. Is the server running?"})
                    + "\n"
                )
            except (APIError, Unusable) as problem:
                yield json.dumps({"error": getattr(problem, "message", str(problem))}) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson", headers=HEADERS)


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


def _refusal(message: str, status: int = 400) -> Response:
    return JSONResponse({"error": message}, status)


def _nothing_yet() -> Response:
    return _refusal("There is no question or no material here any more. Choose what to study.", 409)


class Files(StaticFiles):
    """The page, with headers that let it load nothing from elsewhere."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def application(author: Author, address: str) -> Starlette:
    desk = Desk(author, address)
    posts = {"material": desk.take, "question": desk.question, "answer": desk.answer, "ask": desk.ask}
    return Starlette(
        routes=[
            Route("/api/state", desk.state),
            *(Route(f"/api/{name}", handler, methods=["POST"]) for name, handler in posts.items()),
            Mount("/", Files(directory=HERE / "page", html=True)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8602)
    parser.add_argument("--model", default="gpt-3.5-turbo")
    parser.add_argument(
        "--free", action="store_true", help="for a larger model: the grammar holds the form alone"
    )
    options = parser.parse_args()
    address = os.environ.get("OPENAI_BASE_URL", "")
    if not address or not os.environ.get("OPENAI_API_KEY"):
        sys.exit(HOW_TO_START)
    client = AsyncOpenAI(timeout=120)
    app = application(Author(client, options.model, not options.free), address)
    print(f"Q-Chat is at http://127.0.0.1:{options.port} and asks {address}", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
