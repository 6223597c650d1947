"""What the shop sells: its words, and a generator that makes the same products from the same seed."""

from __future__ import annotations

import random
import tomllib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

COLOURS = "black white grey silver red blue green yellow orange pink purple brown beige".split()

_BRAND_HEADS = (
    "North Oak River Stone Wind Star Hill Lake Maple Cedar Sun Moon Fox Bear Wolf Eagle Swan Sand Elm Ash"
).split()
_BRAND_TAILS = ["ford", "well", "land", "mark", "field", "ton"]
BRANDS = [head + tail for head in _BRAND_HEADS for tail in _BRAND_TAILS]


class Shelf(NamedTuple):
    """A category of products."""

    name: str
    others: tuple[str, ...]
    uses: tuple[str, ...]
    prices: tuple[int, int]
    materials: tuple[str, ...]
    features: tuple[str, ...]
    series: tuple[str, ...]


def _shelf(values: dict[str, Any]) -> Shelf:
    return Shelf(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )


_DATA = tomllib.loads((Path(__file__).parent / "goods.toml").read_text())
SHELVES = [_shelf(values) for values in _DATA["shelf"]]
ALIASES: dict[str, dict[str, str]] = _DATA["aliases"]
"""Other words for values, by the kind of value."""
CATEGORIES = {shelf.name: shelf for shelf in SHELVES}
MATERIALS = sorted({material for shelf in SHELVES for material in shelf.materials})
FEATURES = sorted({feature for shelf in SHELVES for feature in shelf.features})
SERIES = sorted({series for shelf in SHELVES for series in shelf.series})


class Product(NamedTuple):
    """One product. Its `id` is its rank: 1 is the best rated, with the most reviews."""

    id: int
    name: str
    category: str
    brand: str
    colour: str
    material: str
    features: str
    """Two or three, separated by `, `."""
    price: int
    """In euros."""
    stars: float
    """Of 5, in steps of 0.1."""
    reviews: int


def describe(product: Product) -> str:
    """What the shop says of a product, made of its attributes."""
    return (
        f"{product.category.capitalize()} in {product.colour} {product.material} by {product.brand}: "
        f"{product.features}."
    )


def products(count: int, seed: int = 1) -> Iterator[Product]:
    """`count` products, the best rated first."""
    dice = random.Random(seed)
    ratings = array("q", (_rating(dice) for _ in range(count)))
    for number, rating in enumerate(sorted(ratings, reverse=True), start=1):
        shelf = dice.choice(SHELVES)
        brand = dice.choice(BRANDS)
        low, high = shelf.prices
        yield Product(
            id=number,
            name=f"{brand} {dice.choice(shelf.series)} {dice.randrange(100, 1000)}",
            category=shelf.name,
            brand=brand,
            colour=dice.choice(COLOURS),
            material=dice.choice(shelf.materials),
            features=", ".join(dice.sample(shelf.features, dice.choice((2, 3)))),
            # Cheap products are more than dear ones.
            price=round(low * (high / low) ** dice.random()),
            stars=rating // 100_000 / 10,
            reviews=rating % 100_000,
        )


def _rating(dice: random.Random) -> int:
    """Stars and reviews in one number, so that a million sort quickly and take little memory."""
    stars = round(10 + 40 * dice.betavariate(6, 2))
    return stars * 100_000 + min(99_999, int(dice.lognormvariate(4, 1.2)))
