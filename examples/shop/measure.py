"""How long a search takes: thousands of wishes made at random, over the catalogue of a million products.

python examples/shop/measure.py
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from statistics import quantiles

from goods import BRANDS, COLOURS, FEATURES, MATERIALS, SHELVES
from openai import AsyncOpenAI
from shelves import STARS, Catalogue, Filters, built

from app import CACHE, Shop


def wished(dice: random.Random) -> Filters:
    """Filters as wishes make them: mostly what a shelf has, now and then anything on any shelf."""
    shelf = dice.choice(SHELVES)
    anywhere = dice.random() < 0.15
    low, high = shelf.prices
    materials, features = (MATERIALS, FEATURES) if anywhere else (shelf.materials, shelf.features)
    filters = Filters(category="" if anywhere else shelf.name)
    filters.colours = dice.sample(COLOURS, dice.choice((0, 0, 1, 2)))
    filters.materials = dice.sample(materials, dice.choice((0, 0, 0, 1)))
    filters.features = dice.sample(features, dice.choice((0, 1, 1, 2)))
    filters.brands = dice.sample(BRANDS, dice.choice((0, 0, 0, 1)))
    filters.without = dice.sample(COLOURS, 1) if dice.random() < 0.1 and not filters.colours else []
    filters.price_max = round(low + (high - low) * dice.random() ** 2) if dice.random() < 0.6 else 0
    filters.price_min = round(filters.price_max * 0.7) if dice.random() < 0.2 else 0
    filters.stars = dice.choice((0, 0, 0, *STARS))
    filters.sort = "price" if dice.random() < 0.25 else "rating"
    return filters


def main() -> None:
    options = argparse.ArgumentParser(
        description="Measures searches, and what is left out for want of products."
    )
    options.add_argument("--products", type=int, default=1_000_000)
    options.add_argument("--data", type=Path, default=CACHE)
    options.add_argument("--searches", type=int, default=5000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    # The model is not asked: what is measured is all that happens between filters and products.
    shop = Shop(Catalogue(built(chosen.data, chosen.products)), AsyncOpenAI(api_key="none"), "none")
    dice = random.Random(chosen.seed)
    taken, computed, empty, short = [], [], 0, 0
    for _ in range(chosen.searches):
        filters = wished(dice)
        start, worked = time.perf_counter(), time.process_time()
        found, left_out = shop.find(filters)
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
