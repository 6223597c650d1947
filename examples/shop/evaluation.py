"""Wishes whose filters are known, and reasons held against the data: how well the shop does with a model.

    python examples/shop/evaluation.py

asks the server that the environment names, prints a table and writes evaluation.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections import defaultdict
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import goods
from shelves import Catalogue, Filters, built

from app import CACHE, Shop, connected

Case = tuple[str, str, dict[str, Any]]
"""The kind, the wish, and every filter that has to be set after it."""
NAMED: list[Case] = [
    ("named", "I would like a pair of blue hiking boots", {"category": "hiking boots", "colours": ["blue"]}),
    ("named", "a wooden toy train for my nephew", {"category": "toy trains", "materials": ["wood"]}),
    ("named", "Do you have noise-cancelling headphones in black or grey?",
     {"category": "headphones", "colours": ["black", "grey"], "features": ["noise cancelling"]}),
    ("named", "foldable electric bike", {"category": "bicycles", "features": ["foldable", "electric"]}),
    ("named", "a frying pan of cast iron for induction",
     {"category": "frying pans", "materials": ["cast iron"], "features": ["induction"]}),
    ("named", "Is there a sofa with storage by Oakwell?",
     {"category": "sofas", "features": ["with storage"], "brands": ["Oakwell"]}),
    ("named", "cork yoga mat, extra thick please",
     {"category": "yoga mats", "materials": ["cork"], "features": ["extra thick"]}),
    ("named", "smartphone with dual SIM", {"category": "phones", "features": ["dual sim"]}),
    ("figures", "a laptop under 900 euros", {"category": "laptops", "price_max": 900}),
    ("figures", "suitcases between 80 and 150 euros",
     {"category": "suitcases", "price_min": 80, "price_max": 150}),
    ("figures", "office chair, at least 4.5 stars, no more than €300",
     {"category": "office chairs", "stars": 4.5, "price_max": 300}),
    ("figures", "camera for about 1,000 euros", {"category": "cameras", "price_min": 800, "price_max": 1200}),
    ("figures", "the cheapest kettle with temperature control",
     {"category": "kettles", "features": ["temperature control"], "sort": "price"}),
    ("figures", "a well rated board game for two players",
     {"category": "board games", "features": ["two players"], "stars": 4.0}),
    ("denied", "a summer dress, but not red", {"category": "dresses", "without": ["red"]}),
    ("denied", "sunglasses without plastic", {"category": "sunglasses", "without": ["plastic"]}),
    ("denied", "wristwatch, no leather, up to 200",
     {"category": "watches", "without": ["leather"], "price_max": 200}),
]  # fmt: skip
PURPOSES: list[Case] = [
    ("purpose", "something to listen to podcasts on the train", {"category": "headphones"}),
    ("purpose", "I'd like to make cappuccino at home", {"category": "coffee machines"}),
    ("purpose", "I have to carry my books to school", {"category": "backpacks"}),
    ("purpose", "we want to sleep outdoors at a festival", {"category": "tents"}),
    ("purpose", "to take pictures of birds", {"category": "cameras"}),
    ("purpose", "what I need to fry eggs and steak", {"category": "frying pans"}),
    ("purpose", "somewhere to sit at work, in black", {"category": "office chairs", "colours": ["black"]}),
    ("purpose, own words", "my eyes hurt when it is sunny", {"category": "sunglasses"}),
    ("purpose, own words", "I get cold on my way home in December", {"category": "jackets"}),
    ("purpose, own words", "I never know how late it is", {"category": "watches"}),
    ("purpose, own words", "we are bored on Sundays and want to compete", {"category": "board games"}),
    ("purpose, own words", "a device for typing my novel", {"category": "laptops"}),
    ("purpose, own words", "getting to the office without a car", {"category": "bicycles"}),
]  # fmt: skip
CHAINS: list[list[Case]] = [
    [("named", "running shoes in red, any size", {"category": "running shoes", "colours": ["red"]}),
     ("going on", "rather in blue", {"category": "running shoes", "colours": ["blue"]}),
     ("going on", "under 90 euros", {"category": "running shoes", "colours": ["blue"], "price_max": 90}),
     ("going on", "and cheaper ones first",
      {"category": "running shoes", "colours": ["blue"], "price_max": 90, "sort": "price"}),
     ("another", "now a tent for four persons", {"category": "tents", "features": ["four persons"]})],
    [("named", "a leather sofa", {"category": "sofas", "materials": ["leather"]}),
     ("going on", "without leather", {"category": "sofas", "without": ["leather"]}),
     ("going on", "with at least 4 stars", {"category": "sofas", "without": ["leather"], "stars": 4.0}),
     ("another", "and something to boil water for tea", {"category": "kettles"})],
    [("nothing fits", "waterproof laptop", {"category": "laptops", "features": ["waterproof"]}),
     ("nothing fits", "a sofa under 20 euros", {"category": "sofas", "price_max": 20})],
]  # fmt: skip
REASONED = ("purpose", "figures", "denied")
"""Kinds of which the first wishes are given reasons too: these take most of the time."""


async def asked(shop: Shop, wish: str, before: Filters, *, reasons: bool) -> dict[str, Any]:
    """What came of a wish: filters, products, what was left out, and the reasons that were kept."""
    got: dict[str, Any] = {"texts": defaultdict(str), "kept": []}
    answer = shop.answer(wish, before, as_is=False)
    async for event in answer:
        got |= {name: event[name] for name in ("filters", "products", "left_out") if name in event}
        if "products" in event and not reasons:
            break
        if "reason" in event:
            got["texts"][event["reason"]] += event["text"]
        if "taken_back" in event:
            got["texts"].pop(event["taken_back"])
        if "kept" in event:
            got["kept"].append(event["kept"])
    await answer.aclose()
    return got


def fits(product: dict[str, Any], wanted: Filters) -> bool:
    """Whether a product is what was wished for, looked at without the index."""
    own = {product["colour"], product["material"], *product["features"].split(", ")}
    return (
        product["category"] == wanted.category
        and (not wanted.colours or product["colour"] in wanted.colours)
        and (not wanted.materials or product["material"] in wanted.materials)
        and set(wanted.features) <= own
        and not set(wanted.without) & own
        and wanted.price_min <= product["price"] <= (wanted.price_max or 10**9)
        and product["stars"] >= wanted.stars
    )


def holds(reason: str, product: dict[str, Any], wish: str) -> bool:
    """Whether a reason says something of the product, and no figure or brand that is not its own."""
    own = [product["brand"], product["colour"], product["material"], *product["features"].split(", ")]
    figures = {str(product["price"]), str(product["stars"]), str(product["reviews"]), "5"}
    figures |= set(re.findall(r"[\d.]*\d", product["name"] + " " + wish))
    says = any(word.removeprefix("with ").lower() in reason.lower() for word in (*own, str(product["price"])))
    brands = {brand for brand in goods.BRANDS if brand.lower() in reason.lower()}
    return says and set(re.findall(r"\d[\d.]*\d|\d", reason)) <= figures and brands <= {product["brand"]}


async def turns(shop: Shop, reasoned: int) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    left = dict.fromkeys(REASONED, reasoned)
    for chain in [*([case] for case in NAMED + PURPOSES), *CHAINS]:
        before = Filters()
        for kind, wish, expected in chain:
            wanted = Filters(**expected)
            reasons = left.get(kind, 0) > 0
            left[kind] = left.get(kind, 0) - 1
            got = await asked(shop, wish, before, reasons=reasons)
            before = Filters(**got["filters"])
            right = got["filters"] == asdict(wanted)
            if kind == "nothing fits":
                right = right and bool(got["left_out"]) and bool(got["products"])
            else:
                right = right and bool(got["products"]) and all(fits(one, wanted) for one in got["products"])
            done.append({"kind": kind, "turn": wish, "ok": right})
            print("right" if right else f"WRONG {got['filters']}", "·", wish, flush=True)
            for product in got["products"][: 3 if reasons else 0]:
                text = got["texts"][product["id"]].strip()
                good = product["id"] in got["kept"] and holds(text, product, wish)
                done.append({"kind": "reasons", "turn": wish, "ok": good, "text": text})
                print("  holds" if good else "  DOES NOT", "·", text, flush=True)
    return done


def main() -> None:
    options = argparse.ArgumentParser(
        description="How well the shop does with the model of a running server."
    )
    options.add_argument("--model", default="gpt-3.5-turbo")
    options.add_argument("--products", type=int, default=20_000)
    options.add_argument("--data", type=Path, default=CACHE)
    options.add_argument(
        "--reasoned", type=int, default=4, help="wishes of a kind whose reasons are looked at"
    )
    chosen = options.parse_args()
    catalogue = Catalogue(built(chosen.data, chosen.products))
    done = asyncio.run(turns(Shop(catalogue, connected(), chosen.model), chosen.reasoned))
    counts: dict[str, list[bool]] = defaultdict(list)
    for turn in done:
        counts[turn["kind"]].append(turn["ok"])
    print("\n| kind | right | of |\n| --- | ---: | ---: |")
    for kind, results in counts.items():
        print(f"| {kind} | {sum(results)} | {len(results)} |")
    result = {"model": chosen.model, "date": date.today().isoformat(), "turns": done}
    (Path(__file__).parent / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
