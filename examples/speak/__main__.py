"""A speaking companion: it hears you, answers, and tells how you spoke.

    python -m examples.speak [--port 8105] [--model gpt-3.5-turbo] [--speech-model whisper-1]

The client is set by its own environment: OPENAI_BASE_URL and OPENAI_API_KEY.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from openai import APIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.kit.serve import Event, answering, body, connected, options, said, serve

from .feedback import feedback
from .partner import Partner

LARGEST_RECORDING = 10 * 1024 * 1024


def routes(partner: Partner) -> list[Route]:
    """What the page asks: to hear a recording, and to answer."""

    async def hear(request: Request) -> Response:
        """The words of the recording that is the body, and how they were said; `?target=` were to be said."""
        recording = await body(request, LARGEST_RECORDING)
        try:
            heard = await partner.hear(recording, request.headers.get("content-type", ""))
        except APIError as problem:
            raise HTTPException(502, said(problem)) from problem
        words = heard.words or []
        how = feedback(request.query_params.get("target", ""), words)
        timed = [{"word": one.word, "start": one.start} for one in words]
        return JSONResponse({"text": heard.text.strip(), "timed": timed, **how})

    def answer(found: dict[str, Any]) -> AsyncIterator[Event]:
        """What Sam says next, as far as it is written, again and again."""
        talk = found.get("talk")
        if not isinstance(talk, list) or not all(isinstance(text, str) for text in talk):
            raise HTTPException(400, "talk is a list of texts.")
        return ({"answer": text} async for text in partner.answer(talk))

    return [Route("/hear", hear, methods=["POST"]), answering("/answer", answer)]


def main() -> None:
    parser = options("A speaking companion.", 8105)
    parser.add_argument("--speech-model", default="whisper-1", help="the speech model (whisper-1)")
    chosen = parser.parse_args()
    partner = Partner(connected(), chosen.model, chosen.speech_model)
    serve("Speak", Path(__file__).parent / "page", routes(partner), chosen.port)


if __name__ == "__main__":
    main()
