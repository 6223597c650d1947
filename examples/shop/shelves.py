"""The catalogue on disk, and the search in it: SQLite, with two full-text indexes."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from goods import CATEGORIES, COLOURS, FEATURES, MATERIALS, Product, products
from tqdm import tqdm

STARS = (3.0, 4.0, 4.5)
"""The stars that can be asked for: at least so many."""
_STEPS = (10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000)
"""Prices that products are known to be at most, or at least, by a word of the index."""
_TABLES = """
create table product(
    id integer primary key, name, category, brand, colour, material, features, price, stars, reviews
);
create virtual table by_rating using fts5(words, content='', detail=none, columnsize=0);
create virtual table by_price using fts5(words, content='', detail=none, columnsize=0);
create table price_order(place integer primary key, id integer, price integer);
"""
_BY_RATING = """select product.* from by_rating join product on product.id = by_rating.rowid
where by_rating match :words and price between :low and :high order by by_rating.rowid limit :count"""
_BY_PRICE = """select product.* from by_price
join price_order on place = by_price.rowid join product using (id)
where by_price match :words and by_price.rowid between :low and :high order by by_price.rowid limit :count"""


@dataclass
class Filters:
    """What a product has to be. Of `colours`, `materials` and `brands` it is one; `features` it has all."""

    category: str = ""
    colours: list[str] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    brands: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    """Colours, materials and features that it must not have."""
    price_min: int = 0
    price_max: int = 0
    """In euros, as `price_min`; 0 is no limit."""
    stars: float = 0
    """One of `STARS`, or 0."""
    sort: str = "rating"
    """`rating`, the best first, or `price`, the cheapest first."""


def _numbered(letter: str, values: Iterable[str]) -> dict[str, str]:
    return {value: f"{letter}{number}" for number, value in enumerate(values)}


_WORDS = {
    **_numbered("c", CATEGORIES),
    **_numbered("k", COLOURS),
    **_numbered("m", MATERIALS),
    **_numbered("f", FEATURES),
}
"""Each value as one word of the indexes: `c3`, so that nothing in a name is taken for it."""


_EVERY = "x"
"""A word that every product has: a search for anything is a search like any other."""


def _words(product: Product) -> str:
    """The text of a product that is indexed: its name, and a word for all else that can be asked for."""
    values = (product.category, product.colour, product.material, *product.features.split(", "))
    words = [_EVERY, product.name, *(_WORDS[value] for value in values)]
    words += [f"s{int(least * 10)}" for least in STARS if product.stars >= least]
    words += [f"u{step}" for step in _STEPS if product.price <= step]
    words += [f"o{step}" for step in _STEPS if product.price >= step]
    return " ".join(words)


def _query(filters: Filters) -> str:
    """The filters in the language of FTS5."""
    groups = [[_WORDS[filters.category] if filters.category else _EVERY]]
    groups += [[_WORDS[value] for value in values] for values in (filters.colours, filters.materials)]
    groups += [[f'"{name}"' for name in names] for names in (filters.brands, filters.series)]
    groups += [[_WORDS[feature]] for feature in filters.features]
    groups += [[f"s{int(filters.stars * 10)}"] if filters.stars else []]
    groups += [[f"u{step}"] for step in _STEPS if filters.price_max and step >= filters.price_max][:1]
    groups += [[f"o{step}"] for step in _STEPS if step <= filters.price_min][-1:]
    query = " AND ".join(f"({' OR '.join(group)})" for group in groups if group)
    unwanted = " OR ".join(_WORDS[value] for value in filters.without)
    return f"({query}) NOT ({unwanted})" if unwanted else query


def _possible(filters: Filters) -> bool:
    """Whether the shelf can have such a product at all: the indexes would look for it in vain, and long."""
    if not (shelf := CATEGORIES.get(filters.category)):
        return True
    return (
        (not filters.price_max or filters.price_max >= shelf.prices[0])
        and filters.price_min <= shelf.prices[1]
        and (not filters.materials or bool(set(filters.materials) & set(shelf.materials)))
        and set(filters.features) <= set(shelf.features)
    )


class Catalogue:
    """The products of one file."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._database.execute("pragma mmap_size = 1000000000")

    def search(self, filters: Filters, count: int = 12) -> list[Product]:
        """The best products that fit, at most `count`."""
        if not _possible(filters):
            return []
        query, low, high = _BY_RATING, filters.price_min, filters.price_max or 10**9
        if filters.sort == "price":
            query, low, high = _BY_PRICE, self._place(low), self._place(high + 1) - 1
        limits = {"words": _query(filters), "low": low, "high": high, "count": count}
        found = self._database.execute(query, limits)
        return [Product(*row) for row in found]

    def _place(self, price: int) -> int:
        """Where products that cost `price`, or more, begin in the order of prices."""
        query = "select place from price_order where price >= ? order by price, place limit 1"
        row = self._database.execute(query, (price,)).fetchone()
        return int(row[0]) if row else 2**62


def built(folder: Path, count: int) -> Path:
    """The catalogue of `count` products in `folder`: made, with a progress bar, if it is not there."""
    # Made by other code, or of other goods, it is another catalogue.
    code = b"".join(
        (Path(__file__).parent / name).read_bytes() for name in ("goods.py", "goods.toml", "shelves.py")
    )
    path = folder / f"catalogue-{count}-{hashlib.sha256(code).hexdigest()[:8]}.db"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    database = sqlite3.connect(draft)
    database.executescript("pragma journal_mode = off; pragma synchronous = off;" + _TABLES)
    _fill(database, count)
    database.commit()
    database.close()
    draft.rename(path)
    return path


def _fill(database: sqlite3.Connection, count: int) -> None:
    def rows() -> Iterator[Product]:
        for product in tqdm(products(count), "Making the catalogue", count, unit=" products"):
            database.execute(
                "insert into by_rating(rowid, words) values (?, ?)", (product.id, _words(product))
            )
            yield product

    database.executemany(f"insert into product values ({','.join('?' * len(Product._fields))})", rows())
    database.execute("insert into price_order select null, id, price from product order by price, id")
    database.execute("create index price_at on price_order(price)")
    ordered = database.execute(
        "select place, product.* from price_order join product using (id) order by place"
    )
    database.executemany(
        "insert into by_price(rowid, words) values (?, ?)",
        ((place, _words(Product(*row))) for place, *row in tqdm(ordered, "Ordering by price", count)),
    )
    for index in ("by_rating", "by_price"):
        database.execute(f"insert into {index}({index}) values ('optimize')")
