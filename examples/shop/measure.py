"""How long a search takes: wishes made at random, over the catalogue of a million products.

python -m examples.shop.measure
"""

from __future__ import annotations

import argparse
import random
import time
from statistics import quantiles

from .catalogue import DATA, SHELVES, Catalogue, Filter


def wished(dice: random.Random) -> list[Filter]:
    """Filters as wishes make them, of what a shelf has, and now and then of what it has not."""
    category, elsewhere = dice.sample(list(SHELVES), 2)
    shelf, other = SHELVES[category], SHELVES[elsewhere if dice.random() < 0.15 else category]
    low, high = shelf["prices"]
    price = round(low + (high - low) * dice.random() ** 2)
    filters = [Filter("category", category)]
    filters += [Filter("colour", value) for value in dice.sample(DATA["colours"], dice.choice((0, 0, 1, 2)))]
    filters += [
        Filter("material", value) for value in dice.sample(shelf["materials"], dice.choice((0, 0, 0, 1)))
    ]
    filters += [
        Filter("feature", value) for value in dice.sample(other["features"], dice.choice((0, 1, 1, 2)))
    ]
    filters += [Filter("brand", value) for value in dice.sample(DATA["brands"], dice.choice((0, 0, 0, 1)))]
    filters += [Filter("not", dice.choice(shelf["materials"]))] if dice.random() < 0.1 else []
    filters += [Filter("up to", price)] if dice.random() < 0.6 else []
    filters += [Filter("from", round(price * 0.7))] if dice.random() < 0.2 else []
    filters += [Filter("at least", dice.choice((3.0, 4.0, 4.5)))] if dice.random() < 0.5 else []
    filters += [Filter("order", "cheapest first")] if dice.random() < 0.25 else []
    return filters


def main() -> None:
    options = argparse.ArgumentParser(
        description="Measures searches, those after leaving out a filter included."
    )
    options.add_argument("--products", type=int, default=1_000_000, help="how many there are (1000000)")
    options.add_argument("--searches", type=int, default=5000, help="how many are made (5000)")
    chosen = options.parse_args()
    catalogue = Catalogue(chosen.products)
    dice = random.Random(1)
    taken, computed, short, empty = [], [], 0, 0
    for _ in range(chosen.searches):
        filters = wished(dice)
        start, worked = time.perf_counter(), time.process_time()
        found, left_out = catalogue.find(filters)
        computed.append((time.process_time() - worked) * 1000)
        taken.append((time.perf_counter() - start) * 1000)
        empty += not found
        short += bool(left_out)
    print(f"{chosen.searches} searches of {chosen.products} products")
    # On a machine that is busy with other things, a search mostly waits for a processor.
    for name, times in (("by the clock", taken), ("of a processor", computed)):
        cuts = quantiles(times, n=100)
        print(f"{name}: median {cuts[49]:.1f}, 99th percentile {cuts[98]:.1f}, longest {max(times):.1f} ms")
    print(f"{short} had to leave something out to find anything, {empty} found nothing even so")


if __name__ == "__main__":
    main()
