"""Serves the page: `python -m examples.ask_food`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.kit.serve import HEADERS, Event, answering, connected, options, sent, serve, text_of

from .assistant import Assistant
from .catalogue import HERE, PLACES


def routes(assistant: Assistant) -> list[Route]:
    """What the page asks."""

    def ask(found: dict[str, Any]) -> AsyncIterator[Event]:
        return assistant.answer(text_of(found, "request", 300))

    async def basket(request: Request) -> Response:
        """The basket, and the best stores for it near the place where the customer says to be."""
        state, place = assistant.state, str((await sent(request)).get("place"))
        state.place = place if place in PLACES else state.place
        return JSONResponse({**state.view(), "places": list(PLACES)}, headers=HEADERS)

    return [answering("/api/ask", ask), Route("/api/basket", basket, methods=["POST"])]


def main() -> None:
    chosen = options("Questions about food, recipes and the stores that have it.", 8102).parse_args()
    assistant = Assistant(connected(), chosen.model)
    serve("Ask about food", HERE / "page", routes(assistant), chosen.port)


if __name__ == "__main__":
    main()
