"""What the shopping assistant of the examples decides by code: filters, search, and checks of reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples.shop.assistant import facts
from examples.shop.catalogue import KINDS, SHELVES, Catalogue, Filter, Product, of, products
from examples.shop.words import fitting, holds, named, said, together

COUNT = 4000


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return Catalogue(COUNT, tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("waterproof boots in blue, under 100 euros", ["hiking boots", "waterproof", "blue", "up to 100 €"]),
        ("a cheap watch without leather", ["watches", "not leather", "cheapest first"]),
        ("Foxmark boots", ["hiking boots", "Foxmark"]),
        ("a desk lamp for my desk, at least 4.5 stars", ["desk lamps", "at least 4.5 stars"]),
        ("suitcases from 80 to 150 euros", ["suitcases", "from 80 €", "up to 150 €"]),
        ("a laptop, no more than €1,200", ["laptops", "up to 1200 €"]),
        ("well rated sunglasses over 50 euros", ["sunglasses", "at least 4 stars", "from 50 €"]),
        ("something to carry my books", []),
    ],
)
def test_what_words_say_outright(wish: str, expected: list[str]) -> None:
    filters = said(wish)
    assert [str(one) for one in filters] == expected
    # As a page shows it, a filter says the same.
    assert [one for text in expected for one in said(text)] == filters


def test_every_value_of_the_catalogue_can_be_named_and_denied() -> None:
    for value, kind in KINDS.items():
        assert named(value) == [Filter(kind, value)] and named(f"not {value}") == [Filter("not", value)]


def test_a_wish_goes_on_or_begins_anew() -> None:
    before = said("red running shoes under 90 euros")
    assert set(together("rather in blue", before)) == set(said("blue running shoes under 90 euros"))
    assert set(together("not red", before)) == set(said("running shoes, not red, under 90 euros"))
    assert together("a tent", before) == said("a tent")
    assert together("something to boil water", before) == []


def test_shelves_that_are_for_what_a_wish_speaks_of() -> None:
    assert fitting("something to boil water for tea") == ["kettles"]
    assert fitting("to camp") == ["tents", "sleeping bags"]
    assert fitting("in blue") == []


def test_a_seed_gives_the_same_products() -> None:
    made = list(products(500))
    assert len(made) == 500 and {product.category for product in made} == set(SHELVES)
    assert made == list(products(500)) and made != list(products(500, seed=2))
    for category in SHELVES:
        stars = [product.stars for product in made if product.category == category]
        assert stars == sorted(stars, reverse=True)


def fits(product: Product, filters: list[Filter]) -> bool:
    own = {product.colour, product.material, *product.features.split(",")}
    return (
        product.category in of("category", filters)
        and product.colour in (of("colour", filters) or [product.colour])
        and product.brand in (of("brand", filters) or [product.brand])
        and set(of("feature", filters)) <= own
        and not set(of("not", filters)) & own
        and all(product.price >= price for price in of("from", filters))
        and all(product.price <= price for price in of("up to", filters))
        and all(product.stars >= stars for stars in of("at least", filters))
    )


@pytest.mark.parametrize(
    "wish",
    [
        "waterproof hiking boots", "hiking boots under 77 euros", "red or blue t-shirts", "green toy trains",
        "the cheapest kettle over 33 euros", "a watch with 4 stars, no leather", "cheap mats under 40",
        "Foxmark tent", "a laptop under 20 euros", "a bag, not black, between 60 and 61 euros", "sofas",
        "speakers, not wireless, not black, 3 stars",
    ],
)  # fmt: skip
def test_a_search_finds_what_looking_at_every_product_finds(catalogue: Catalogue, wish: str) -> None:
    filters = said(wish)
    if not of("category", filters):
        filters.append(Filter("category", "backpacks"))
    found = [product for product in products(COUNT) if fits(product, filters)]
    if of("order", filters):
        found.sort(key=lambda product: (product.price, product.id))
    assert catalogue.search(filters) == found[:12]


@pytest.mark.parametrize(
    ("wish", "left_out"),
    [
        ("waterproof backpacks", []),
        ("a waterproof laptop in black", ["waterproof"]),
        ("a grey sofa under 20 euros", ["up to 20 €"]),
        ("a waterproof laptop in black under 20 euros", ["waterproof", "up to 20 €"]),
        (
            "a hooded, waterproof laptop in black under 20 euros",
            ["hooded", "waterproof", "black", "up to 20 €"],
        ),
    ],
)
def test_what_is_left_out_where_nothing_fits(catalogue: Catalogue, wish: str, left_out: list[str]) -> None:
    found, without = catalogue.find(said(wish))
    assert [str(one) for one in without] == left_out
    assert found and all(fits(one, [f for f in said(wish) if f not in without]) for one in found)


def test_a_catalogue_is_made_once(tmp_path: Path) -> None:
    first = Catalogue(100, tmp_path).search(said("tents"))
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert Catalogue(100, tmp_path).search(said("tents")) == first and len(first) == 4
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files and len(files) == 1


PRODUCT = Product(
    7, "Foxmark Trail 310", "hiking boots", "Foxmark", "blue", "leather", "waterproof,wide fit", 89, 4.6
)


@pytest.mark.parametrize(
    ("reason", "right"),
    [
        ("The Foxmark boots are waterproof and cost 89 euros.", True),
        ("These hiking boots in blue leather have 4.6 of 5 stars.", True),
        ("These boots are waterproof and stay under 100 euros.", True),
        ("The Foxmark boots are waterproof and cost 79 euros.", False),
        ("The Foxmark boots are waterproof and cost 4.6 euros.", False),
        ("These boots have 4.6 reviews, and they are waterproof.", False),
        ("These boots have 89 reviews, and they are waterproof.", False),
        ("These boots have 4.9 of 5 stars, and they are waterproof.", False),
        ("These boots are insulated and blue.", False),
        ("These boots are blue and not waterproof.", False),
        ("These boots of Oakwell are waterproof.", False),
        ("These boots from Norway are waterproof.", False),
        ("Eloquefort boots are waterproof.", False),
        ("The sliders are waterproof and cost 89 euros.", False),
        ("These are good boots.", False),
        ("The boots are boots boots and waterproof.", False),
        ("The boots are waterproof, as the boots are waterproof.", False),
        ("These boots are waterproof and", False),
    ],
)
def test_a_reason_holds_to_the_product(reason: str, right: bool) -> None:
    assert holds(PRODUCT, "waterproof boots under 100 euros", reason) is right


def test_facts_that_are_asked_for_come_first() -> None:
    told = facts("boots of a wide fit", PRODUCT)
    assert told == (
        "Product: Foxmark Trail, hiking boots. "
        "Facts: wide fit; waterproof; blue leather; 89 euros; 4.6 of 5 stars."
    )
