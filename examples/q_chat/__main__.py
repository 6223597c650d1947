"""Q-Chat: `python -m examples.q_chat` serves its page, for one student on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.kit.serve import Event, answering, body, connected, options, serve

from .author import Author
from .material import MOST_BYTES, Material
from .tutor import EXPLAIN, Tutor, grade


async def question(author: Author, tutor: Tutor, _: str) -> AsyncIterator[Event]:
    """What is asked about, the question as it is written, and the choices or the gap."""
    turn = tutor.next()
    yield {"level": turn.level, "section": turn.term.passage.section}
    async for text in author.question(turn):
        turn.question = text
        yield {"text": text}
    yield {"choices": turn.choices, "gapped": "" if turn.level == EXPLAIN else turn.gapped}


async def answer(author: Author, tutor: Tutor, said: str) -> AsyncIterator[Event]:
    """The verdict, the progress, the feedback as it is written, and the passage."""
    if not tutor.turns or tutor.turns[-1].verdict:
        yield {"error": "There is no question to answer: take the next one."}
        return
    turn = tutor.turns[-1]
    turn.verdict = grade(turn, said)
    yield {"verdict": turn.verdict, "expected": turn.term.name, "progress": tutor.progress()}
    async for text in author.feedback(turn):
        yield {"text": text}
    yield {"passage": turn.term.passage._asdict()}


async def ask(author: Author, tutor: Tutor, said: str) -> AsyncIterator[Event]:
    """An answer as it is written, and the passage that it is of."""
    found = tutor.material.find(said)
    if found is None:
        yield {"error": "The material has hardly any words of this question. Try others."}
        return
    async for text in author.answer(said, found[1]):
        yield {"text": text}
    yield {"passage": found[0]._asdict()}


def routes(author: Author) -> list[Route]:
    """What the page asks."""
    tutor: Tutor | None = None

    async def state(_: Request) -> Response:
        return JSONResponse({"title": tutor.material.title, "progress": tutor.progress()} if tutor else {})

    async def study(request: Request) -> Response:
        """A file: the body, of which `?name=` is the name."""
        nonlocal tutor
        name, content = request.query_params.get("name", "Material"), await body(request, MOST_BYTES)
        try:
            tutor = Tutor(await asyncio.to_thread(Material, name, content))
        except ValueError as problem:
            raise HTTPException(400, str(problem)) from None
        return await state(request)

    def said(act: Callable[[Author, Tutor, str], AsyncIterator[Event]]) -> Route:
        def answered(found: dict[str, Any]) -> AsyncIterator[Event]:
            if tutor is None:
                raise HTTPException(400, "There is nothing to study yet: choose a text.")
            return act(author, tutor, str(found.get("said", "")))

        return answering(f"/api/{act.__name__}", answered)

    material = [Route("/api/state", state), Route("/api/study", study, methods=["POST"])]
    return material + [said(act) for act in (question, answer, ask)]


def main() -> None:
    chosen = options("Q-Chat, a tutor for your own material", 8602).parse_args()
    author = Author(connected(), chosen.model)
    serve("Q-Chat", Path(__file__).parent / "page", routes(author), chosen.port)


if __name__ == "__main__":
    main()
