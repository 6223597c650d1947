"""How well Q-Chat teaches: scripted turns, checked by code.

    OPENAI_BASE_URL=… OPENAI_API_KEY=… python -m examples.q_chat.evaluation

prints a table and writes `evaluation.json`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from examples.kit.evaluate import Findings
from examples.kit.serve import connected

from .author import Author
from .material import Material, Passage
from .tutor import EXPLAIN, Turn, Tutor, grade

HERE = Path(__file__).parent
QUESTIONS = 18
"""Asked about each text; every fifth is answered wrongly."""
OWN = {
    "water-cycle.md": (
        ("How long does water stay in the air?", "9 days"),
        ("What share of the salt water is in the oceans?", "97 percent"),
        ("Where is most of the fresh water?", "frozen"),
        ("What drives the water cycle?", "Sun"),
        ("How much water does an oak tree give off?", "400 litres"),
        ("Can snow turn into vapour without melting?", "vapour without melting"),
        ("What do droplets form on?", "dust"),
        ("How wide is a cloud droplet?", "0.02"),
        ("How many droplets make one raindrop?", "million"),
        ("In what weather does hail grow?", "thunderstorms"),
        ("Where is runoff strongest?", "steep slopes"),
        ("How old can deep groundwater be?", "10000"),
    ),
    "tides.md": (
        ("How high can the water rise in the Bay of Fundy?", "16 metres"),
        ("How far away is the Sun, compared with the Moon?", "390"),
        ("How many high tides does a coast have in a day?", "two high tides"),
        ("How much time is between two high tides?", "12 hours"),
        ("What is slack water?", "hardly moves"),
        ("How often is there a spring tide?", "15 days"),
        ("What happens at the half moons?", "right angles"),
        ("Why does the Mediterranean have hardly any tide?", "narrow"),
        ("What do barnacles do when the water leaves?", "shells"),
        ("When was the first tidal power station built?", "1966"),
        ("Why do sailors read a tide table?", "shallow"),
        ("What does a funnel do to the water?", "squeezes"),
    ),
}
REWORDED = {
    "water-cycle.md": (
        ("How many days until vapour falls as rain?", "9 days"),
        ("Which part of fresh water is ice?", "69 percent"),
        ("What happens to rain that goes into the ground?", "groundwater"),
        ("How do leaves lose water?", "pores"),
        ("Why are clouds able to float?", "floats"),
    ),
    "tides.md": (
        ("Why are there tides?", "gravity"),
        ("Which place has the biggest tides on Earth?", "16 metres"),
        ("What do you call the weakest tide?", "neap"),
        ("Who lives between high and low water?", "Barnacles"),
        ("How is electricity made from tides?", "turbines"),
    ),
}
"""In other words than the text's; written when the application was finished, and not looked at before."""
ELSEWHERE = ("Who painted the Mona Lisa?", "What is photosynthesis?", "Which chess opening is best?")


async def taught(author: Author, material: Material, findings: Findings) -> None:
    """A student who knows most of it is asked, and told."""
    tutor = Tutor(material)
    for number in range(QUESTIONS):
        turn = tutor.next()
        term, passage = turn.term.name, turn.term.passage
        turn.question = await whole(author.question(turn))
        back = found(material, turn.question) == passage
        findings.add(f"ask for {term}", {"question leads back to its passage": back}, turn.question)
        turn.verdict = grade(turn, "nothing" if number % 5 == 4 else known(turn))
        feedback = await whole(author.feedback(turn))
        kept = found(material, feedback) == passage and term.lower() in feedback.lower()
        kind = "feedback has the answer and keeps to its passage"
        findings.add(f"{turn.question} ({turn.verdict})", {kind: kept}, feedback)


def found(material: Material, question: str) -> Passage | None:
    both = material.find(question)
    return both[0] if both else None


def known(turn: Turn) -> str:
    return turn.term.passage.text if turn.level == EXPLAIN else turn.term.name


async def own(
    author: Author, material: Material, kind: str, asked: str, fact: str, findings: Findings
) -> None:
    """The student asks: the passage cited and the answer both have the fact, which is in the text once."""
    said = material.find(asked)
    answer = await whole(author.answer(asked, said[1])) if said else ""
    checks = {
        f"{kind}: the passage cited has the fact": bool(said and fact in said[0].text),
        f"{kind}: the answer has the fact": fact in answer,
    }
    findings.add(asked, checks, answer)


async def whole(texts: AsyncIterator[str]) -> str:
    return [text async for text in texts][-1]


async def measured(author: Author) -> Findings:
    findings = Findings()
    for name, questions in OWN.items():
        material = Material(name, (HERE / "page" / "texts" / name).read_bytes())
        await taught(author, material, findings)
        for question, fact in questions:
            await own(author, material, "own question", question, fact, findings)
        for question, fact in REWORDED[name]:
            await own(author, material, "own question, reworded", question, fact, findings)
        for question in ELSEWHERE:
            nothing = material.find(question) is None
            findings.add(question, {"not in the material: nothing is answered": nothing})
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description="How well Q-Chat teaches")
    parser.add_argument("--model", default="gpt-3.5-turbo")
    chosen = parser.parse_args()
    asyncio.run(measured(Author(connected(), chosen.model))).keep(HERE, model=chosen.model)


if __name__ == "__main__":
    main()
