"""Questions about food, recipes and stores: the model calls tools and tells what came of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import counter
import likeness
import uvicorn
import wording
from openai import APIConnectionError, APIError, AsyncOpenAI
from pantry import Pantry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
SYSTEM = "You serve customers of a food shop. Call the tool that does what they ask for."
TEMPERATURES = (0.0, 0.4, 0.6, 0.8)
"""Of the attempts at one answer: each is freer than the one before."""
LONGEST_REQUEST = 300

Event = dict[str, Any]


class Assistant:
    """Answers requests over one retailer's catalogue."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self.pantry = Pantry()
        self._examples = likeness.Examples(self.pantry)
        self._client = client
        self._model = model

    async def choose(self, request: str, state: counter.State) -> tuple[str, dict[str, Any]]:
        """The tool that the model calls for a request, and its arguments.

        It is offered the tools of the examples that are most like the request.
        """
        tools = {tool["function"]["name"]: tool for tool in counter.tools(request, state, self.pantry)}
        close = self._examples.closest(request, tools)
        asking: list[Any] = [{"role": "system", "content": SYSTEM}, *likeness.messages(close)]
        answer = await self._client.chat.completions.create(
            model=self._model,
            messages=[*asking, {"role": "user", "content": request}],
            tools=[tools[name] for name in dict.fromkeys(one.tool for one in reversed(close))],  # type: ignore[misc]
            tool_choice="required",
            parallel_tool_calls=False,
            temperature=0,
            max_tokens=120,
        )
        function = (answer.choices[0].message.tool_calls or [])[0].function  # type: ignore[union-attr]
        return function.name, json.loads(function.arguments)

    async def answer(self, request: str, state: counter.State) -> AsyncIterator[Event]:
        """What happens for a request, event by event; `state` changes with it."""
        try:
            tool, arguments = await self.choose(request, state)
        except (IndexError, ValueError):  # cut off by max_tokens
            yield {"error": "The model did not finish its call. Say it in other words."}
            return
        yield {"call": tool, "arguments": arguments}
        till = counter.Till(self.pantry, state)
        result = till.call(tool, arguments)
        yield {"card": result.card, "basket": till.basket(), "state": asdict(state)}
        for temperature in TEMPERATURES:
            text = ""
            async with await self._client.chat.completions.create(
                model=self._model,
                messages=wording.messages(request, tool, result),  # type: ignore[arg-type]
                temperature=temperature,
                max_tokens=110,
                stop=["\n"],
                stream=True,
            ) as stream:
                async for chunk in stream:
                    if chunk.choices and (piece := chunk.choices[0].delta.content):
                        text += piece
                        yield {"text": piece}
            if not (wrong := wording.problems(text, request, result, self.pantry)):
                yield {"kept": text}
                return
            yield {"taken_back": text, "why": wrong}
        yield {"given_up": True}


def told(error: APIError) -> str:
    """An error of the API, for people."""
    if isinstance(error, APIConnectionError):
        return "The server of the model cannot be reached. Is it running?"
    return error.message


async def ask(request: Request) -> Response:
    """Answer a request: lines of JSON, an event each."""
    assistant: Assistant = request.app.state.assistant
    body = await request.json()
    words = str(body.get("request", "")).strip()
    if not words or len(words) > LONGEST_REQUEST:
        return JSONResponse({"error": f"A request has 1 to {LONGEST_REQUEST} letters."}, 400)
    state = counter.read(body.get("state"), assistant.pantry)

    async def lines() -> AsyncIterator[str]:
        try:
            async for event in assistant.answer(words, state):
                yield json.dumps(event) + "\n"
        except APIError as error:
            yield json.dumps({"error": told(error)}) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def basket(request: Request) -> Response:
    """The basket of a state: what it costs and who can fill it, and the places to choose from."""
    pantry: Pantry = request.app.state.assistant.pantry
    state = counter.read((await request.json()).get("state"), pantry)
    shown = counter.Till(pantry, state).basket()
    return JSONResponse({"basket": shown, "state": asdict(state), "places": list(pantry.places)})


class Policy:
    """Adds the content security policy to every answer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(b"content-security-policy", POLICY.encode())]
                message["headers"] += [(b"x-content-type-options", b"nosniff")]
            await send(message)

        await self._app(scope, receive, sending)


def application(assistant: Assistant) -> Starlette:
    """The page, and what it asks."""
    routes = [
        Route("/api/ask", ask, methods=["POST"]),
        Route("/api/basket", basket, methods=["POST"]),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Policy)])
    app.state.assistant = assistant
    return app


def connected() -> AsyncOpenAI:
    """The client, if the environment names a server that answers; else this ends with what to do."""
    missing = [name for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if not os.environ.get(name)]
    if missing:
        sys.exit(f"Set {' and '.join(missing)} first: the address of the server, with /v1, and a key of it.")

    async def greet() -> None:
        async with AsyncOpenAI(timeout=10, max_retries=0) as client:
            await client.models.list()

    try:
        asyncio.run(greet())
    except APIError as error:
        sys.exit(f"{os.environ['OPENAI_BASE_URL']} does not answer as it should: {told(error)}")
    return AsyncOpenAI()


def main() -> None:
    options = argparse.ArgumentParser(
        description="Questions about food, recipes and the stores that have it."
    )
    options.add_argument("--port", type=int, default=8101, help="where the page is, on 127.0.0.1")
    options.add_argument("--model", default="gpt-3.5-turbo", help="the name of the chat model")
    chosen = options.parse_args()
    app = application(Assistant(connected(), chosen.model))
    listening = socket.create_server(("127.0.0.1", chosen.port))
    print(f"The counter is open: http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
