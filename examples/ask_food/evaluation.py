"""Conversations whose outcome is known: how well the assistant does with the model of a running server."""

from __future__ import annotations

import asyncio
import json
import re
from math import dist
from typing import Any, NamedTuple

from examples.kit.evaluate import Findings
from examples.kit.serve import connected, options

from .assistant import Assistant
from .catalogue import FOODS, HERE, PLACES, STORES, offers, stems
from .tools import State


class Turn(NamedTuple):
    """A request and what has to come of it."""

    kind: str
    request: str
    card: tuple[str, ...] = ()
    """What the card has to show."""
    basket: dict[str, int] | None = None
    """The whole basket after it; None if it has to be as before."""


RISOTTO = ["risotto rice", "mushrooms", "onions", "white wine", "vegetable stock", "parmesan", "butter"]
TACOS = ["tortillas", "minced beef", "avocados", "tomatoes", "lettuce", "sour cream", "limes"]
DAL = ["red lentils", "onions", "garlic", "ginger", "turmeric", "garam masala", "naan bread"]
FISH = {"salmon": 3}


def packs(*foods: str) -> dict[str, int]:
    """A pack of each."""
    return dict.fromkeys(foods, 1)


CHAINS = [
    [
        Turn("recipe", "How do I cook a lasagne?", ("lasagne sheets", "minced beef")),
        Turn("recipe", "And what are the ingredients of a moussaka?", ("aubergines", "minced lamb")),
        Turn("recipe", "tell me what goes in a quiche lorraine", ("gruyère", "nutmeg")),
        Turn("recipe", "how long does apple crumble take?", ("50 minutes",)),
        Turn("cook with", "What could I make with spinach and chickpeas?", ("vegetable curry",)),
        Turn("cook with", "I have mascarpone in the fridge. Any ideas?", ("tiramisu",)),
        Turn("cook with", "which dishes can be made with tofu and broccoli", ("tofu stir-fry",)),
    ],
    [
        Turn("price", "Is there oat milk?", ("oat milk",)),
        Turn("price", "What is the price of butter and eggs?", ("butter", "eggs")),
        Turn("price", "how much do cherry tomatoes cost", ("cherry tomatoes",)),
        Turn("price", "Do you also have pine nuts?", ("pine nuts",)),
        Turn("not sold", "Do you sell kombucha?", ("No food here is called",)),
        Turn("not sold", "How much is a toothbrush?", ("No food here is called",)),
    ],
    [
        Turn("basket", "Please put bananas in my basket", ("bananas",), {"bananas": 1}),
        Turn("basket", "I'd like three packs of salmon", ("salmon",), {"bananas": 1, "salmon": 3}),
        Turn("basket", "add dill and 2 lemons", ("lemons",), {**FISH, "bananas": 1, "dill": 2, "lemons": 2}),
        Turn("basket", "Remove the bananas again", ("bananas",), {**FISH, "dill": 2, "lemons": 2}),
        Turn("store", "Which store near me has all of that?", ("has everything",)),
        Turn("basket", "Please empty the basket", ("salmon",), {}),
    ],
    [
        Turn("recipe to basket", "Get me everything for a mushroom risotto", ("mushrooms",),
             packs(*RISOTTO)),
        Turn("store", "Where's the nearest store that has everything?", ("has everything",)),
        Turn("basket", "take out the white wine", ("white wine",), packs(*(set(RISOTTO) - {"white wine"}))),
        Turn("store", "Which shop nearby has saffron and mussels?", ("km",)),
        Turn("store", "Who has lemongrass?", ("km",)),
    ],
    [
        Turn("recipe", "What do you need to make tacos?", ("tortillas", "avocados")),
        Turn("going on", "Put them in my basket", ("tortillas",), packs(*TACOS)),
        Turn("going on", "Where can I buy all of them?", ("km",)),
        Turn("price", "How much is black tea?", ("black tea",)),
        Turn("going on", "Add that as well", ("black tea",), packs(*TACOS, "black tea")),
    ],
    [
        Turn("recipe to basket", "I am cooking dal for friends, buy what goes into it", ("ginger",),
             packs(*DAL)),
        Turn("recipe to basket", "add the ingredients for guacamole too", ("avocados", "limes"),
             packs(*DAL, "avocados", "limes", "red onions", "coriander leaves", "tortilla chips")),
        Turn("store", "Where should I go with this list?", ("km",)),
    ],
]  # fmt: skip


def can_be_filled(state: State) -> bool:
    """Whether the store that comes first is the nearest that has the basket, counted in its own stock."""
    filling = [
        store
        for store in STORES
        if all(int(FOODS[food][store]) >= packs for food, packs in state.basket.items())
    ]
    lacking, _, words = offers(state.basket, state.place)[0]
    if not filling:
        return lacking > 0
    nearest = min(filling, key=lambda store: dist(STORES[store], PLACES[state.place]))
    return lacking == 0 and words.startswith(nearest)


def agrees(answer: str, request: str, card: dict[str, Any], basket: dict[str, Any]) -> bool:
    """Whether the figures of an answer are those that the page shows, and it speaks of what was found."""
    shown = json.dumps([card, basket["lines"], basket["total"], request], ensure_ascii=False)
    figures = set(re.findall(r"\d+(?:\.\d+)?", answer))
    words = {word for line in (card["title"], *card["lines"]) for word in stems(line) if len(word) > 3}
    return figures <= set(re.findall(r"\d+(?:\.\d+)?", shown)) and bool(words & set(stems(answer)))


async def converse(assistant: Assistant, chain: list[Turn], findings: Findings) -> None:
    """One conversation, turn by turn."""
    assistant.state = state = State()
    for turn in chain:
        before, seen = dict(state.basket), dict[str, Any]()
        async for event in assistant.answer(turn.request):
            seen |= event
        card, answer = seen["card"], seen["text"] if seen["kept"] else ""
        shown = " ".join([card["title"], *card["lines"]])
        right = state.basket == (before if turn.basket is None else turn.basket)
        checks = {
            turn.kind: right and all(part in shown for part in turn.card),
            "answers": bool(answer) and agrees(answer, turn.request, card, seen["basket"]),
        }
        if state.basket:
            checks["store found"] = can_be_filled(state)
        findings.add(turn.request, checks, {"call": seen["call"], "text": answer})


async def main() -> None:
    model = options("How well the assistant does with the model of a running server.", 0).parse_args().model
    findings, assistant = Findings(), Assistant(connected(), model)
    for chain in CHAINS:
        await converse(assistant, chain, findings)
    findings.keep(HERE, model=model)


if __name__ == "__main__":
    asyncio.run(main())
