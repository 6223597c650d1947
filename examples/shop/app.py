"""A shopping assistant: a wish in words becomes filters, products, and reasons for the best of them."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import goods
import reasons
import shelves
import uvicorn
import wishes
from openai import APIConnectionError, APIError, AsyncOpenAI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "example-shop"
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
REASONED = 3
"""Products of a page that are given a reason."""
TEMPERATURES = (0.0, 0.4, 0.7)
"""Of the attempts at one reason: each is freer than the one before."""
LONGEST_WISH = 300
_ASKED = (
    "You turn the wish of a customer into filters of a shop. A list is empty, and max_price is 0, where the "
    "wish says nothing of it."
)
_EXAMPLES = [
    (
        "Shelves: tents; sleeping bags\nWish: a blue shelter for two at a festival, 90 euros at most",
        {
            "category": "tents",
            "colours": ["blue"],
            "materials": [],
            "features": ["two persons"],
            "max_price": 90,
        },
    ),
    (
        "Shelves: desks; desk lamps\nWish: to read at night",
        {"category": "desk lamps", "colours": [], "materials": [], "features": [], "max_price": 0},
    ),
]

Event = dict[str, Any]


class Shop:
    """The catalogue, and the model that reads wishes and words reasons."""

    def __init__(self, catalogue: shelves.Catalogue, client: AsyncOpenAI, model: str) -> None:
        self._catalogue = catalogue
        self._client = client
        self._model = model

    async def propose(self, wish: str, now: shelves.Filters) -> wishes.Proposal:
        """What the model makes of a wish. It chooses among the shelves that may fit, if words tell which."""
        categories = [now.category] if now.category else wishes.fitting(wish) or list(goods.CATEGORIES)
        asking: list[Any] = [{"role": "system", "content": _ASKED}]
        for question, answer in _EXAMPLES:
            asking.append({"role": "user", "content": question})
            asking.append({"role": "assistant", "content": json.dumps(answer)})
        asking.append({"role": "user", "content": f"Shelves: {'; '.join(categories)}\nWish: {wish}"})
        form = {"name": "filters", "strict": True, "schema": wishes.schema(categories)}
        answer = await self._client.chat.completions.create(
            model=self._model, messages=asking, temperature=0, max_tokens=120,
            response_format={"type": "json_schema", "json_schema": form},  # type: ignore[arg-type]
        )  # fmt: skip
        try:
            return wishes.Proposal(**json.loads(answer.choices[0].message.content or ""))
        except (ValueError, TypeError):  # cut off by max_tokens
            return wishes.Proposal(categories[0])

    def find(self, filters: shelves.Filters) -> tuple[list[goods.Product], list[str]]:
        """Products that fit; if there are none, those that fit once something is left out, and what."""
        left_out: list[str] = []
        while not (found := self._catalogue.search(filters)):
            for name in ("series", "features", "materials", "colours", "brands"):
                if values := getattr(filters, name):
                    left_out.append(values[-1])
                    filters = replace(filters, **{name: values[:-1]})
                    break
            else:
                if not (filters.stars or filters.price_max or filters.price_min):
                    break
                left_out.append("stars" if filters.stars else "price")
                filters = replace(
                    filters, **({"stars": 0} if filters.stars else {"price_max": 0, "price_min": 0})
                )
        return found, left_out

    async def answer(self, wish: str, before: shelves.Filters, *, as_is: bool) -> AsyncIterator[Event]:
        """What happens for a wish, event by event; `as_is` takes the filters before as they are."""
        filters, offers = before, []
        if not as_is:
            now = wishes.said(wish)
            if wishes.goes_on(wish, now, before):
                now = wishes.together(now, before)
            filters, offers = wishes.settled(now, await self.propose(wish, now))
        yield {"filters": asdict(filters), "offers": offers}
        start = time.perf_counter()
        found, left_out = await asyncio.to_thread(self.find, filters)
        spent = round((time.perf_counter() - start) * 1000, 1)
        listed = [product._asdict() | {"description": goods.describe(product)} for product in found]
        yield {"products": listed, "left_out": left_out, "milliseconds": spent, "reasoned": REASONED}
        events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        tasks = [asyncio.create_task(self._reason(wish, product, events)) for product in found[:REASONED]]
        try:
            for _ in tasks:
                while not (event := await events.get()).get("ended"):
                    yield event
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _reason(self, wish: str, product: goods.Product, events: asyncio.Queue[Event]) -> None:
        """Word a reason while it is read; one that does not hold to the product's data is taken back."""
        try:
            for temperature in TEMPERATURES:
                text = ""
                async with await self._client.chat.completions.create(
                    model=self._model, messages=reasons.messages(wish, product), temperature=temperature,
                    max_tokens=60, stop=["\n"], stream=True,
                ) as stream:  # fmt: skip
                    async for chunk in stream:
                        if chunk.choices and (piece := chunk.choices[0].delta.content):
                            text += piece
                            events.put_nowait({"reason": product.id, "text": piece})
                if not (wrong := reasons.problems(text, product, wish)):
                    events.put_nowait({"kept": product.id})
                    return
                events.put_nowait({"taken_back": product.id, "text": text, "why": wrong})
            events.put_nowait({"given_up": product.id})
        finally:
            events.put_nowait({"ended": True})


def told(error: APIError) -> str:
    """An error of the API, for people."""
    if isinstance(error, APIConnectionError):
        return "The server of the model cannot be reached. Is it running?"
    return error.message


async def wish(request: Request) -> Response:
    """Answer a wish: lines of JSON, an event each."""
    body = await request.json()
    words = str(body.get("wish", "")).strip()
    if not words or len(words) > LONGEST_WISH:
        return JSONResponse({"error": f"A wish has 1 to {LONGEST_WISH} letters."}, 400)
    shop: Shop = request.app.state.shop
    before = wishes.read(body.get("filters"))

    async def lines() -> AsyncIterator[str]:
        try:
            async for event in shop.answer(words, before, as_is=bool(body.get("as_is"))):
                yield json.dumps(event) + "\n"
        except APIError as error:
            yield json.dumps({"error": told(error)}) + "\n"
        yield json.dumps({"done": True}) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


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


def application(shop: Shop) -> Starlette:
    """The page, and what it asks."""
    routes = [
        Route("/api/wish", wish, methods=["POST"]),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Policy)])
    app.state.shop = shop
    return app


def connected() -> AsyncOpenAI:
    """The client, if the environment names a server that answers; else this ends with what to do."""
    missing = [name for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if not os.environ.get(name)]
    if missing:
        sys.exit(f"Set {' and '.join(missing)} first: the address of the server, with /v1, and a key of it.")

    async def ask() -> None:
        async with AsyncOpenAI(timeout=10, max_retries=0) as client:
            await client.models.list()

    try:
        asyncio.run(ask())
    except APIError as error:
        sys.exit(f"{os.environ['OPENAI_BASE_URL']} does not answer as it should: {told(error)}")
    return AsyncOpenAI()


def main() -> None:
    options = argparse.ArgumentParser(
        description="A shopping assistant over a catalogue that is made at the first start."
    )
    options.add_argument("--port", type=int, default=8100, help="where the page is, on 127.0.0.1")
    options.add_argument("--model", default="gpt-3.5-turbo", help="the name of the chat model")
    options.add_argument("--products", type=int, default=1_000_000, help="the size of the catalogue")
    options.add_argument("--data", type=Path, default=CACHE, help="the folder of the catalogue")
    chosen = options.parse_args()
    client = connected()
    catalogue = shelves.Catalogue(shelves.built(chosen.data, chosen.products))
    app = application(Shop(catalogue, client, chosen.model))
    listening = socket.create_server(("127.0.0.1", chosen.port))
    print(f"The shop is open: http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
