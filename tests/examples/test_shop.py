"""What the shopping assistant of the examples decides by code: filters, search, and checks of reasons."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "shop"))
goods: Any = import_module("goods")
reasons: Any = import_module("reasons")
shelves: Any = import_module("shelves")
wishes: Any = import_module("wishes")

COUNT = 4000


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return shelves.Catalogue(shelves.built(tmp_path_factory.mktemp("shop"), COUNT))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("waterproof boots in blue, under 100 euros",
         {"category": "hiking boots", "colours": ["blue"], "features": ["waterproof"], "price_max": 100}),
        ("a cheap watch without leather", {"category": "watches", "without": ["leather"], "sort": "price"}),
        ("Foxmark Trail boots", {"category": "hiking boots", "brands": ["Foxmark"], "series": ["Trail"]}),
        ("a desk lamp, at least 4.5 stars", {"category": "desk lamps", "stars": 4.5}),
        ("suitcases from 80 to 150 euros", {"category": "suitcases", "price_min": 80, "price_max": 150}),
        ("a laptop, no more than €1,200", {"category": "laptops", "price_max": 1200}),
        ("sunglasses over 50 euros", {"category": "sunglasses", "price_min": 50}),
        ("something to carry my books", {}),
    ],
)  # fmt: skip
def test_what_words_say_outright(wish: str, expected: dict[str, Any]) -> None:
    assert wishes.said(wish) == shelves.Filters(**expected)


def test_a_wish_goes_on_or_begins_anew() -> None:
    before = wishes.said("red running shoes under 90 euros")
    for wish, goes_on in (("rather in blue", True), ("a tent", False), ("something to boil water", False)):
        assert wishes.goes_on(wish, wishes.said(wish), before) is goes_on
    kept = wishes.together(wishes.said("rather in blue"), before)
    assert kept == wishes.said("blue running shoes under 90 euros")


def test_the_model_chooses_the_shelf_and_hides_nothing_that_was_not_asked_about() -> None:
    now = wishes.said("something for music, in black")
    proposal = wishes.Proposal("headphones", ["white"], ["wood"], ["wireless"], 20)
    filters, offers = wishes.settled(now, proposal)
    assert filters == shelves.Filters(category="headphones", colours=["black"])
    assert offers == [("features", "wireless")]
    named, _ = wishes.settled(wishes.said("a kettle"), proposal)
    assert named.category == "kettles"


def test_filters_of_a_page_are_of_the_catalogue() -> None:
    sent = {"category": "tanks", "colours": ["red", "x", 3], "price_max": -1, "stars": 9, "sort": "x", "z": 1}
    assert wishes.read(sent) == shelves.Filters(colours=["red"])
    assert wishes.read(None) == shelves.Filters()


def test_a_seed_gives_the_same_products() -> None:
    made = list(goods.products(500))
    assert made == list(goods.products(500)) and made != list(goods.products(500, seed=2))
    stars = [product.stars for product in made]
    assert stars == sorted(stars, reverse=True)


@pytest.mark.parametrize(
    "wish",
    [
        "waterproof hiking boots", "hiking boots under 77 euros", "red or blue t-shirts", "anything in green",
        "the cheapest kettle over 33 euros", "a watch with 4 stars, no leather", "cheap things under 40",
        "Foxmark tent", "a laptop under 20 euros", "not black, between 60 and 61 euros",
    ],
)  # fmt: skip
def test_a_search_finds_what_looking_at_every_product_finds(catalogue: Any, wish: str) -> None:
    filters = wishes.said(wish)

    def fits(product: Any) -> bool:
        own = {product.colour, product.material, *product.features.split(", ")}
        return (
            (not filters.category or product.category == filters.category)
            and (not filters.colours or product.colour in filters.colours)
            and (not filters.brands or product.brand in filters.brands)
            and set(filters.features) <= own
            and not set(filters.without) & own
            and filters.price_min <= product.price <= (filters.price_max or 10**9)
            and product.stars >= filters.stars
        )

    found = [product for product in goods.products(COUNT) if fits(product)]
    if filters.sort == "price":
        found.sort(key=lambda product: (product.price, product.id))
    assert catalogue.search(filters) == found[:12]


PRODUCT = goods.Product(
    7, "Foxmark Trail 310", "hiking boots", "Foxmark", "blue", "leather", "waterproof, wide fit", 89, 4.6, 213
)


@pytest.mark.parametrize(
    ("reason", "wrong"),
    [
        ("The Foxmark boots are waterproof and cost 89 euros.", False),
        ("These hiking boots in blue leather have 4.6 of 5 stars from 213 reviews.", False),
        ("These boots are waterproof and stay under 100 euros.", False),
        ("The Foxmark boots are waterproof and cost 79 euros.", True),
        ("These boots have 4.6 reviews, and they are waterproof.", True),
        ("These boots are insulated and blue.", True),
        ("These boots of Oakwell are waterproof.", True),
        ("These boots from Norway are waterproof.", True),
        ("Eloquefort boots are waterproof.", True),
        ("The sliders are waterproof and cost 89 euros.", True),
        ("The boots are boots boots and waterproof.", True),
        ("These boots are waterproof and", True),
    ],
)
def test_a_reason_holds_to_the_product(reason: str, wrong: bool) -> None:
    assert bool(reasons.problems(reason, PRODUCT, "waterproof boots under 100 euros")) is wrong


def test_facts_that_are_asked_for_come_first() -> None:
    swapped = PRODUCT._replace(features="wide fit, waterproof")
    asked = reasons.messages("waterproof boots", swapped)
    facts = "waterproof; wide fit; blue leather; 89 euros; 4.6 of 5 stars."
    assert asked[-1]["content"].endswith(f"Product: Foxmark Trail, hiking boots. Facts: {facts}")
