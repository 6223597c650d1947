"""My AI: a friendly chatbot with a persona and a memory, which writes haiku."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from examples.kit.serve import answering, connected, options, serve, text_of

from .companion import Companion, Turn
from .memory import Exchange

LONGEST_TEXT = 2000
LONGEST_CHARACTER = 400


def exchanges(found: dict[str, Any], name: str) -> list[Exchange]:
    """What was said, of a JSON object; refuses anything else with 400."""
    try:
        return [Exchange(str(one["text"]), str(one["answer"])) for one in found[name]]
    except (KeyError, TypeError):
        raise HTTPException(400, f"{name} has texts and their answers.") from None


def turn(found: dict[str, Any]) -> Turn:
    """One turn of the conversation, which the page has sent whole."""
    return Turn(
        text_of(found, "text", LONGEST_TEXT),
        text_of(found, "character", LONGEST_CHARACTER),
        exchanges(found, "example"),
        exchanges(found, "before"),
    )


def main() -> None:
    parser = options("A friendly chatbot with a memory.", port=8101)
    parser.add_argument("--history", type=int, default=3, help="how many last exchanges are sent (3)")
    chosen = parser.parse_args()
    companion = Companion(connected(), chosen.model, chosen.history)
    chat = answering("/chat", lambda found: companion.answer(turn(found)))
    serve("My AI", Path(__file__).parent / "page", [chat], chosen.port)


if __name__ == "__main__":
    main()
