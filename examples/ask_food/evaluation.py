"""Conversations whose outcome is known: how well the assistant does with a model.

    python examples/ask_food/evaluation.py

asks the server that the environment names, prints a table and writes evaluation.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import counter

from app import Assistant, connected


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
        Turn("not sold", "Do you sell kombucha?", ("Not found",)),
        Turn("not sold", "How much is a toothbrush?", ("Not found",)),
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


def can_be_filled(assistant: Assistant, state: counter.State) -> bool:
    """Whether the store that is said to have everything does, counted in its own stock."""
    offers = assistant.pantry.offers(state.basket, state.place)
    stores = {store.name: store.stock for store in assistant.pantry.stores}
    full = [
        name
        for name, stock in stores.items()
        if all(stock.get(food, 0) >= packs for food, packs in state.basket.items())
    ]
    nearest = [
        offer.store for offer in sorted(offers, key=lambda offer: offer.kilometres) if offer.store in full
    ]
    return offers[0].store == nearest[0] if nearest else bool(offers[0].missing)


def holds(answer: str, card: dict[str, Any], basket: dict[str, Any], request: str) -> bool:
    """Whether the figures of an answer are those that the page shows, and it speaks of what was found."""
    shown = json.dumps([card, basket["lines"], basket["total"]], ensure_ascii=False) + request
    figures = set(re.findall(r"\d+(?:\.\d+)?", shown))
    words = {
        word for line in [card["title"], *card["lines"]] for word in counter.stems(line) if len(word) > 3
    }
    return set(re.findall(r"\d+(?:\.\d+)?", answer)) <= figures and bool(
        words & set(counter.stems(answer)) or not card["lines"] or "basket" in answer
    )


async def conversations(assistant: Assistant) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    for chain in CHAINS:
        state = counter.State("Town hall")
        for turn in chain:
            before, events = dict(state.basket), {}
            async for event in assistant.answer(turn.request, state):
                events |= event
            events = {"call": "none", "card": {"title": "", "lines": []}} | events
            shown = " ".join([events["card"]["title"], *events["card"]["lines"]])
            right = all(part in shown for part in turn.card)
            right = right and state.basket == (before if turn.basket is None else turn.basket)
            done.append({"kind": turn.kind, "turn": turn.request, "ok": right, "call": events["call"]})
            print(
                "right" if right else f"WRONG {state.basket} {shown}", "·", turn.request, "·", events["call"]
            )
            kept = events.get("kept", "")
            good = bool(kept) and holds(kept, events["card"], events["basket"], turn.request)
            done.append({"kind": "answers", "turn": turn.request, "ok": good, "text": kept})
            print("  holds" if good else "  DOES NOT", "·", kept, flush=True)
            if state.basket:
                done.append(
                    {"kind": "store found", "turn": turn.request, "ok": can_be_filled(assistant, state)}
                )
    return done


def main() -> None:
    options = argparse.ArgumentParser(
        description="How well the assistant does with the model of a running server."
    )
    options.add_argument("--model", default="gpt-3.5-turbo")
    chosen = options.parse_args()
    done = asyncio.run(conversations(Assistant(connected(), chosen.model)))
    counts: dict[str, list[bool]] = defaultdict(list)
    for turn in done:
        counts[turn["kind"]].append(turn["ok"])
    print("\n| kind | right | of |\n| --- | ---: | ---: |")
    for kind, results in counts.items():
        print(f"| {kind} | {sum(results)} | {len(results)} |")
    result = {"model": chosen.model, "date": date.today().isoformat(), "turns": done}
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (Path(__file__).parent / "evaluation.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
