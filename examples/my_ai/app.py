"""A friendly chatbot with a memory, on any server that speaks OpenAI's API.

    python examples/my_ai/app.py --port 8101

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
from companion import Companion, Conversation, Event, Persona
from haiku import wanted, written
from openai import APIError, AsyncOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent
PERSONAS = {one["id"]: one for one in json.loads((HERE / "personas.json").read_text())}
LONGEST_BODY = 256 * 1024
LONGEST_TEXT = 2000


class Page(StaticFiles):
    """The page's files; whatever is not among them may not run or be loaded."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = "default-src 'self'; frame-ancestors 'none'"
        response.headers["cache-control"] = "no-cache"
        return response


async def personas(_: Request) -> Response:
    """The personas to choose from."""
    return JSONResponse([{name: one[name] for name in ("id", "name", "about")} for one in PERSONAS.values()])


async def chat(request: Request) -> Response:
    """One turn, as a line of JSON for each event: notice, memory, delta, haiku or error."""
    body = await request.body()
    if request.headers.get("content-type") != "application/json" or len(body) > LONGEST_BODY:
        return JSONResponse({"message": "Send JSON of at most 256 KiB."}, 400)
    try:
        sent = json.loads(body)
        own = sent.get("own")
        persona = Persona(own["name"], own["instructions"]) if own else chosen(sent["persona"])
        before = Conversation([str(note) for note in sent["notes"]], [spoken(turn) for turn in sent["turns"]])
        text = str(sent["text"]).strip()[:LONGEST_TEXT]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return JSONResponse({"message": f"This is no turn of a conversation: {problem!r}"}, 400)
    checked = [text, own["instructions"]] if own else [text]
    events = turn(request.app.state.companion, persona, before, text, checked)
    return StreamingResponse(map_lines(events), media_type="application/x-ndjson")


def chosen(name: str) -> Persona:
    known = PERSONAS[name]
    return Persona(known["name"], known["instructions"], known["sentences"], known["example"])


def spoken(turn: Any) -> Any:
    """A turn of the page; raises `ValueError` if it is anybody else's than the user's or the model's."""
    if turn["role"] not in ("user", "assistant"):
        raise ValueError(turn["role"])
    return {"role": turn["role"], "content": str(turn["content"])}


async def turn(
    companion: Companion, persona: Persona, before: Conversation, text: str, checked: list[str]
) -> AsyncIterator[Event]:
    """What happens with a message, in order; an error of the API is the last event."""
    try:
        if categories := await companion.flagged(*checked):
            yield {"type": "notice", "categories": categories}
            return
        if topic := wanted(text):
            lines = 0
            async for poem in written(companion.client, companion.model, topic):
                lines = len(poem.lines)
                yield {"type": "haiku", "lines": poem.lines, "syllables": poem.syllables}
            if lines < 3:
                yield {"type": "error", "message": "The model did not get to the end of a line: ask again."}
            return
        remembered = await companion.remember(before)
        forgotten = len(before.turns) - len(remembered.turns)
        yield {"type": "memory", "notes": remembered.notes, "forgotten": forgotten}
        async for piece in companion.answer(persona, remembered, text):
            yield {"type": "delta", "text": piece}
    except APIError as problem:
        yield {"type": "error", "message": said(problem)}


def said(problem: APIError) -> str:
    """The server's own words, if it has said any."""
    body = problem.body if isinstance(problem.body, dict) else {}
    return str(body.get("message") or problem.message)


async def map_lines(events: AsyncIterator[Event]) -> AsyncIterator[str]:
    async for event in events:
        yield json.dumps(event) + "\n"


def build(companion: Companion) -> Starlette:
    """The application around a companion."""
    app = Starlette(
        routes=[
            Route("/personas", personas),
            Route("/chat", chat, methods=["POST"]),
            Mount("/", Page(directory=HERE / "page", html=True)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )
    app.state.companion = companion
    return app


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--port", type=int, default=8101, help="port of 127.0.0.1 (8101)")
    options.add_argument("--model", default="gpt-3.5-turbo", help="chat model (gpt-3.5-turbo)")
    options.add_argument(
        "--history", type=int, default=200, help="tokens of the last turns that are sent (200)"
    )
    chosen_options = options.parse_args()
    missing = [name for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if not os.environ.get(name)]
    if missing:
        sys.exit(
            f"Set {' and '.join(missing)} first. For Antiphon on this machine:\n"
            "  export OPENAI_BASE_URL=http://127.0.0.1:8000/v1\n"
            "  export OPENAI_API_KEY=sk-…    (antiphon keys create --name my-ai prints one)"
        )
    try:
        OpenAI(max_retries=0, timeout=5).models.list()
    except APIError as problem:
        print(f"{os.environ['OPENAI_BASE_URL']} does not answer well: {said(problem)}", file=sys.stderr)
        print("Start the server, with antiphon serve, or set another address or key.", file=sys.stderr)
    companion = Companion(AsyncOpenAI(), chosen_options.model, chosen_options.history)
    print(f"My AI is at http://127.0.0.1:{chosen_options.port}", flush=True)
    uvicorn.run(build(companion), host="127.0.0.1", port=chosen_options.port, log_level="warning")


if __name__ == "__main__":
    main()
