"""How well Q-Chat teaches: scripted turns against a running server, checked by code.

    OPENAI_BASE_URL=… OPENAI_API_KEY=… python examples/q_chat/evaluation.py

prints a table and writes `evaluation.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import reading
import study
from author import Author, Unusable
from openai import AsyncOpenAI
from tutor import FILL_IN, Item, Tutor

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


async def asked(author: Author, material: study.Material, index: study.Index) -> list[dict[str, Any]]:
    """A student who knows most of it is asked, and told."""
    tutor, turns = Tutor(material, random.Random(1)), []
    for number in range(QUESTIONS):
        item = tutor.next_item()
        try:
            question = await author.question(item)
        except Unusable as problem:
            question = str(problem)
        back = index.find(question, 1)
        turns.append(turn("question leads back to its passage", back == [item.passage], item.term, question))
        verdict = tutor.grade("nothing" if number % 5 == 4 else known(item))
        told = "".join([piece async for piece in author.feedback(item, verdict)])
        kept = (
            study.cited(told, list(material.passages))[:1] == [item.passage]
            and item.term.lower() in told.lower()
        )
        turns.append(turn("feedback has the answer and keeps to its passage", kept, item.term, told))
    return turns


def known(item: Item) -> str:
    if item.choices:
        return str(item.right)
    return item.term if item.is_number or item.level == FILL_IN else item.passage.text


async def own(author: Author, index: study.Index, kind: str, asked: str, fact: str) -> list[dict[str, Any]]:
    """The student asks: the passage cited and the answer both have the fact, which is in the text once."""
    found = index.find(asked, 2)
    answer = "".join([piece async for piece in author.answer(asked, found)]) if found else ""
    cited = any(fact in passage.text for passage in study.cited(answer, found))
    return [
        turn(f"{kind}: the passage cited has the fact", cited, asked, answer),
        turn(f"{kind}: the answer has the fact", fact in answer, asked, answer),
    ]


def turn(kind: str, ok: bool, about: str, text: str) -> dict[str, Any]:
    return {"kind": kind, "ok": ok, "about": about, "text": text}


async def measured(author: Author) -> list[dict[str, Any]]:
    turns = []
    for name, questions in OWN.items():
        material = reading.read(name, (HERE / "texts" / name).read_bytes())
        index = study.Index(material)
        turns += await asked(author, material, index)
        for question, fact in questions:
            turns += await own(author, index, "own question", question, fact)
        for question, fact in REWORDED[name]:
            turns += await own(author, index, "own question, reworded", question, fact)
        turns += [
            turn("not in the material: nothing is answered", not index.find(question), question, "")
            for question in ELSEWHERE
        ]
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gpt-3.5-turbo")
    parser.add_argument("--free", action="store_true", help="the grammar holds the form alone")
    options = parser.parse_args()
    turns = asyncio.run(measured(Author(AsyncOpenAI(timeout=120), options.model, not options.free)))
    kinds: dict[str, list[bool]] = defaultdict(list)
    for one in turns:
        kinds[one["kind"]].append(one["ok"])
        if not one["ok"]:
            print(f"  missed: {one['kind']}: {one['about']} → {one['text']}")
    for kind, oks in kinds.items():
        print(f"{kind:52} {sum(oks):3} of {len(oks)}")
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    result = {"model": options.model, "free": options.free, "date": day, "turns": turns}
    (HERE / "evaluation.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
