"""Opens the shop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from examples.kit.serve import Event, answering, connected, options, serve, text_of

from .assistant import Assistant
from .catalogue import Catalogue


def main() -> None:
    parser = options("A shopping assistant over products that are made at the first start.", 8100)
    parser.add_argument("--products", type=int, default=1_000_000, help="how many there are (1000000)")
    chosen = parser.parse_args()
    client = connected()
    assistant = Assistant(Catalogue(chosen.products), client, chosen.model)

    def wish(found: dict[str, Any]) -> AsyncIterator[Event]:
        before = str(found.get("filters", "")).split("\n")
        return assistant.answer(text_of(found, "wish", 300), before, as_is=bool(found.get("as_is")))

    serve("The shop", Path(__file__).parent / "page", [answering("/api/wish", wish)], chosen.port)


if __name__ == "__main__":
    main()
