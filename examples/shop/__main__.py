"""Opens the shop."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.kit.serve import application, connected, options, sent, serve, streamed, text_of

from .assistant import Assistant
from .catalogue import Catalogue


def main() -> None:
    parser = options("A shopping assistant over products that are made at the first start.", 8100)
    parser.add_argument("--products", type=int, default=1_000_000, help="how many there are (1000000)")
    chosen = parser.parse_args()
    client = connected()
    assistant = Assistant(Catalogue(chosen.products), client, chosen.model)

    async def wish(request: Request) -> Response:
        found = await sent(request)
        before = str(found.get("filters", "")).split("\n")
        return streamed(assistant.answer(text_of(found, "wish", 300), before, as_is=bool(found.get("as_is"))))

    page = Path(__file__).parent / "page"
    serve("The shop", application(page, [Route("/api/wish", wish, methods=["POST"])]), chosen.port)


if __name__ == "__main__":
    main()
