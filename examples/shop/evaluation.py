"""Wishes whose filters are known, and reasons held against the data: how well the shop does with a model.

    python -m examples.shop.evaluation

asks the server that the environment names, prints a table, and writes evaluation.json.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from examples.kit.evaluate import Findings
from examples.kit.serve import connected

from .assistant import Assistant
from .catalogue import DATA, Catalogue
from .words import said

Case = tuple[str, str, list[str]]
"""The kind, the wish, and all the filters that have to come of it."""
WISHES: list[Case] = [
    ("named", "I would like a pair of blue hiking boots", ["hiking boots", "blue"]),
    ("named", "a wooden toy train for my nephew", ["toy trains", "wood"]),
    ("named", "Do you have noise-cancelling headphones in black or grey?",
     ["headphones", "black", "grey", "noise cancelling"]),
    ("named", "foldable electric bike", ["bicycles", "foldable", "electric"]),
    ("named", "a frying pan of cast iron for induction", ["frying pans", "cast iron", "induction"]),
    ("named", "Is there a sofa with storage by Oakwell?", ["sofas", "with storage", "Oakwell"]),
    ("named", "cork yoga mat, extra thick please", ["yoga mats", "cork", "extra thick"]),
    ("named", "smartphone with dual SIM", ["phones", "dual sim"]),
    ("figures", "a laptop under 900 euros", ["laptops", "up to 900 €"]),
    ("figures", "suitcases between 80 and 150 euros", ["suitcases", "from 80 €", "up to 150 €"]),
    ("figures", "office chair, at least 4.5 stars, no more than €300",
     ["office chairs", "at least 4.5 stars", "up to 300 €"]),
    ("figures", "camera from 800 to 1,200 euros", ["cameras", "from 800 €", "up to 1200 €"]),
    ("figures", "the cheapest kettle with temperature control",
     ["kettles", "temperature control", "cheapest first"]),
    ("figures", "a well rated board game for two players",
     ["board games", "two players", "at least 4 stars"]),
    ("denied", "a summer dress, but not red", ["dresses", "not red"]),
    ("denied", "sunglasses without plastic", ["sunglasses", "not plastic"]),
    ("denied", "wristwatch, no leather, up to 200", ["watches", "not leather", "up to 200 €"]),
    ("purpose", "something to listen to podcasts on the train", ["headphones"]),
    ("purpose", "I'd like to make cappuccino at home", ["coffee machines"]),
    ("purpose", "I have to carry my books to school", ["backpacks"]),
    ("purpose", "we want to sleep outdoors at a festival", ["tents"]),
    ("purpose", "to take pictures of birds", ["cameras"]),
    ("purpose", "what I need to fry eggs and steak", ["frying pans"]),
    ("purpose", "somewhere to sit at work, in black", ["office chairs", "black"]),
    ("purpose, in words of its own", "my eyes hurt when it is sunny", ["sunglasses"]),
    ("purpose, in words of its own", "I get cold on my way home in December", ["jackets"]),
    ("purpose, in words of its own", "I never know how late it is", ["watches"]),
    ("purpose, in words of its own", "we are bored on Sundays and want to compete", ["board games"]),
    ("purpose, in words of its own", "a device for typing my novel", ["laptops"]),
    ("purpose, in words of its own", "getting to the office without a car", ["bicycles"]),
]  # fmt: skip
CHAINS: list[list[Case]] = [
    [("named", "running shoes in red, any size", ["running shoes", "red"]),
     ("going on", "rather in blue", ["running shoes", "blue"]),
     ("going on", "under 90 euros", ["running shoes", "blue", "up to 90 €"]),
     ("going on", "and cheaper ones first", ["running shoes", "blue", "up to 90 €", "cheapest first"]),
     ("another", "now a tent for four persons", ["tents", "four persons"])],
    [("named", "a leather sofa", ["sofas", "leather"]),
     ("going on", "without leather", ["sofas", "not leather"]),
     ("going on", "with at least 4 stars", ["sofas", "not leather", "at least 4 stars"]),
     ("another", "and something to boil water for tea", ["kettles"])],
    [("nothing fits", "waterproof laptop", ["laptops", "waterproof"]),
     ("nothing fits", "a sofa under 20 euros", ["sofas", "up to 20 €"])],
]  # fmt: skip
REASONED = Counter({"figures": 4, "denied": 4, "purpose": 4})
"""The first wishes of these kinds are given reasons too: these take most of the time."""


async def asked(assistant: Assistant, wish: str, before: list[str], *, reasons: bool) -> dict[str, Any]:
    """What came of a wish: filters, products, what was left out, and reasons by the place of the product."""
    got: dict[str, Any] = {"reasons": defaultdict(str)}
    answer = assistant.answer(wish, before)
    async for event in answer:
        if "reason" in event:
            got["reasons"][event["of"]] = event["reason"].strip()
        else:
            got |= event
        if "products" in event and not reasons:
            break
    return got


def fits(product: dict[str, Any], wanted: list[str]) -> bool:
    """Whether a product is what was wished for, looked at without the index."""
    own = [product[name] for name in ("category", "colour", "material", "brand")]
    own += product["features"].split(",")
    chosen: dict[str, list[Any]] = defaultdict(list)
    for kind, value in (one for text in wanted for one in said(text)):
        chosen[kind].append(value)
    return (
        all(
            set(chosen[kind]) & set(own)
            for kind in ("category", "colour", "material", "brand")
            if chosen[kind]
        )
        and set(chosen["feature"]) <= set(own)
        and not set(chosen["not"]) & set(own)
        and all(product["price"] >= price for price in chosen["from"])
        and all(product["price"] <= price for price in chosen["up to"])
        and all(product["stars"] >= stars for stars in chosen["at least"])
    )


def true(reason: str, product: dict[str, Any], wish: str) -> bool:
    """Whether a reason says something of the product, and no figure or brand that is not its own."""
    own = [product["brand"], product["colour"], product["material"], *product["features"].split(",")]
    figures = {str(product["price"]), f"{product['stars']}", f"{product['stars']:g}", "5"}
    figures |= set(re.findall(r"[\d.]*\d", product["name"] + " " + wish))
    says = any(word.removeprefix("with ").lower() in reason.lower() for word in (*own, str(product["price"])))
    brands = {brand for brand in DATA["brands"] if brand.lower() in reason.lower()}
    return says and set(re.findall(r"\d[\d.]*\d|\d", reason)) <= figures and brands <= {product["brand"]}


async def turns(assistant: Assistant, findings: Findings) -> None:
    left = REASONED.copy()
    for chain in [*([case] for case in WISHES), *CHAINS]:
        before: list[str] = []
        for kind, wish, wanted in chain:
            got = await asked(assistant, wish, before, reasons=left[kind] > 0)
            left[kind] -= 1
            before, products = got["filters"], got["products"]
            right = set(before) == set(wanted) and bool(products)
            if kind == "nothing fits":
                right = right and bool(got["left_out"])
            else:
                right = right and not got["left_out"] and all(fits(one, wanted) for one in products)
            findings.add(wish, {kind: right}, before)
            for place, reason in got["reasons"].items():
                findings.add(wish, {"reasons": true(reason, products[place], wish)}, reason)


def main() -> None:
    options = argparse.ArgumentParser(
        description="How well the shop does with the model of a running server."
    )
    options.add_argument("--model", default="gpt-3.5-turbo", help="the chat model (gpt-3.5-turbo)")
    options.add_argument("--products", type=int, default=20_000, help="how many there are (20000)")
    chosen = options.parse_args()
    findings = Findings()
    client = connected()
    asyncio.run(turns(Assistant(Catalogue(chosen.products), client, chosen.model), findings))
    findings.keep(Path(__file__).parent, model=chosen.model)


if __name__ == "__main__":
    main()
