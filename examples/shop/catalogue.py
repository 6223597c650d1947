"""The products: a generator that makes the same from the same seed, and the search in them, SQLite's FTS5."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import tomllib
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "example-shop"
GOODS = Path(__file__).with_name("goods.toml")
DATA: dict[str, Any] = tomllib.loads(GOODS.read_text("utf-8"))
SHELVES: dict[str, dict[str, Any]] = DATA["shelves"]
KINDS = {
    **dict.fromkeys(SHELVES, "category"),
    **dict.fromkeys(DATA["colours"], "colour"),
    **dict.fromkeys(DATA["brands"], "brand"),
    **{value: "material" for shelf in SHELVES.values() for value in shelf["materials"]},
    **{value: "feature" for shelf in SHELVES.values() for value in shelf["features"]},
}
"""Every value that a product can have, and of which kind it is."""
UNITS = {"from": "€", "up to": "€", "at least": "stars"}
TABLES = """
create table product(id integer primary key, name, category, brand, colour, material, features, price, stars);
-- A value is one word of the index: a space belongs to it, a comma does not.
create virtual table words using fts5(
    category, brand, colour, material, features, content=product, content_rowid=id,
    detail=none, columnsize=0, tokenize="unicode61 tokenchars ' -'"
);
"""
SEARCH = """
select * from product where id in (
    select rowid from words where words match ? and rowid between ? and ?
    and rowid % 10000 between ? and ? order by {order} limit 12
) order by {order}
"""


class Filter(NamedTuple):
    """Something that a product has to be. As a text, it is a wish that says it."""

    kind: str
    """Of `KINDS`: a product has one of the colours, materials and brands asked for, and all the features.
    `not`, for a value that it must not have. Of `UNITS`, for a figure. `order`, for the cheapest first."""
    value: Any

    def __str__(self) -> str:
        if unit := UNITS.get(self.kind):
            return f"{self.kind} {self.value:g} {unit}"
        return f"not {self.value}" if self.kind == "not" else str(self.value)


class Product(NamedTuple):
    """One product."""

    id: int
    """In digits: shelf, 50 - 10 * stars (2), a number (6), price (4). A shelf is a range of ids with the best
    rated first, and a search looks up neither stars nor prices."""
    name: str
    category: str
    brand: str
    colour: str
    material: str
    features: str
    """Two or three, separated by commas."""
    price: int
    stars: float


def products(count: int, seed: int = 1) -> Iterator[Product]:
    """`count` products, shelf by shelf, the best rated first."""
    dice = random.Random(seed)
    for place, name in enumerate(SHELVES):
        size = (count + place) // len(SHELVES)
        yield from sorted(_product(dice, name, place, number) for number in range(size))


def _product(dice: random.Random, category: str, place: int, number: int) -> Product:
    shelf = SHELVES[category]
    low, high = shelf["prices"]
    price = round(low * (high / low) ** dice.random())  # cheap products are more than dear ones
    stars = round(10 + 40 * dice.betavariate(6, 2))
    brand = dice.choice(DATA["brands"])
    return Product(
        id=int(f"{place}{50 - stars:02}{number:06}{price:04}"),
        name=f"{brand} {dice.choice(shelf['series'])} {dice.randrange(100, 1000)}",
        category=category,
        brand=brand,
        colour=dice.choice(DATA["colours"]),
        material=dice.choice(shelf["materials"]),
        features=",".join(dice.sample(shelf["features"], dice.choice((2, 3)))),
        price=price,
        stars=stars / 10,
    )


class Catalogue:
    """`count` products on disk, which are made, with a progress bar, if they are not there."""

    def __init__(self, count: int, folder: Path = CACHE) -> None:
        # Made by other code, or of other goods, it is another catalogue.
        version = hashlib.sha256(Path(__file__).read_bytes() + GOODS.read_bytes()).hexdigest()[:8]
        path = folder / f"catalogue-{count}-{version}.db"
        if not path.exists():
            _make(path, count)
        self._database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._database.execute("pragma mmap_size = 1000000000")

    def search(self, filters: Sequence[Filter]) -> list[Product]:
        """The first 12 products of a shelf that fit."""
        groups = [of(kind, filters) for kind in ("category", "colour", "material", "brand")]
        groups += [[feature] for feature in of("feature", filters)]
        words = " AND ".join('("' + '" OR "'.join(values) + '")' for values in groups if values)
        words += "".join(f' NOT "{value}"' for value in of("not", filters))
        best = list(SHELVES).index(groups[0][0]) * 100
        worst = best + 50 - round(max(of("at least", filters), default=0) * 10)
        ids = best * 10**10, (worst + 1) * 10**10 - 1
        prices = max(of("from", filters), default=0), min(of("up to", filters), default=9999)
        query = SEARCH.format(order="rowid % 10000, rowid" if of("order", filters) else "rowid")
        return [Product(*row) for row in self._database.execute(query, (words, *ids, *prices))]

    def find(self, filters: Sequence[Filter]) -> tuple[list[Product], list[Filter]]:
        """Products that fit; if there are none, those that fit without one filter, two, or all, and which."""
        fewer = [one for one in filters if one.kind not in ("category", "not", "order")]
        for count in (0, 1, 2, len(fewer)):
            for left_out in combinations(fewer, count):
                if found := self.search([one for one in filters if one not in left_out]):
                    return found, list(left_out)
        return [], []


def of(kind: str, filters: Sequence[Filter]) -> list[Any]:
    """The values of one kind."""
    return [one.value for one in filters if one.kind == kind]


def _make(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    database = sqlite3.connect(draft)
    database.executescript(TABLES)
    rows = tqdm(products(count), "Making the catalogue", count, unit=" products")
    database.executemany("insert into product values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.execute("insert into words(words) values ('rebuild')")
    database.execute("insert into words(words) values ('optimize')")
    database.commit()
    database.close()
    draft.rename(path)
