"""Serves the page: `python -m examples.ask_food`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.kit.serve import HEADERS, application, connected, options, sent, serve, streamed, text_of

from .assistant import Assistant
from .catalogue import HERE, PLACES


async def ask(request: Request) -> Response:
    """Answer a request."""
    return streamed(request.app.state.assistant.answer(text_of(await sent(request), "request", 300)))


async def basket(request: Request) -> Response:
    """The basket, and the best stores for it near the place where the customer says to be."""
    state = request.app.state.assistant.state
    place = str((await sent(request)).get("place"))
    state.place = place if place in PLACES else state.place
    return JSONResponse({**state.view(), "places": list(PLACES)}, headers=HEADERS)


def main() -> None:
    chosen = options("Questions about food, recipes and the stores that have it.", 8101).parse_args()
    routes = [Route("/api/ask", ask, methods=["POST"]), Route("/api/basket", basket, methods=["POST"])]
    app = application(HERE / "page", routes)
    app.state.assistant = Assistant(connected(), chosen.model)
    serve("Ask about food", app, chosen.port)


if __name__ == "__main__":
    main()
