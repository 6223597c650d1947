"""What the food assistant of the examples decides by code: names, tools, stores, and checks of answers."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "ask_food"))
pantry: Any = import_module("pantry")
counter: Any = import_module("counter")
likeness: Any = import_module("likeness")
wording: Any = import_module("wording")


@pytest.fixture(scope="module")
def retailer() -> Any:
    return pantry.Pantry()


@pytest.fixture
def state() -> Any:
    return counter.State("Town hall")


def test_the_retailer_is_whole_and_always_the_same(retailer: Any) -> None:
    assert len(retailer.foods) >= 300 and len(retailer.recipes) >= 40 and len(retailer.stores) == 8
    for recipe in retailer.recipes.values():
        assert set(recipe.ingredients) <= set(retailer.foods)
    again = pantry.Pantry()
    assert again.foods == retailer.foods and again.stores == retailer.stores


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("an egg and cherry tomatoes", ["eggs", "cherry tomatoes"]),
        ("Oat milk, or milk?", ["oat milk", "milk"]),
        ("Shepherds pie", ["shepherd's pie"]),
        ("spaghetti bolognese with spaghetti", ["spaghetti bolognese", "spaghetti"]),
        ("two potatoes and radishes", ["potatoes", "radishes"]),
        ("a toothbrush", []),
    ],
)
def test_names_in_a_text(retailer: Any, text: str, names: list[str]) -> None:
    assert retailer.named(text) == names


def test_the_nearest_store_with_everything_comes_first(retailer: Any) -> None:
    for recipe in retailer.recipes.values():
        basket = dict.fromkeys(recipe.ingredients, 2)
        offers = retailer.offers(basket, "Station")
        full = [offer.kilometres for offer in offers if not offer.missing]
        assert full == sorted(full) and offers[: len(full)] == [o for o in offers if not o.missing]
        for offer in offers:
            stock = next(store.stock for store in retailer.stores if store.name == offer.store)
            assert offer.missing == {f: n - stock.get(f, 0) for f, n in basket.items() if stock.get(f, 0) < n}


def test_what_nobody_has_enough_of_is_said(retailer: Any, state: Any) -> None:
    state.basket = {"butter": 90, "milk": 1}
    result = counter.Till(retailer, state).call("nearest_store_with", {"foods": []})
    assert result.text.startswith("No store has everything.") and "butter" in result.needed


def _form(tools: list[dict[str, Any]], name: str) -> Any:
    return next(
        tool["function"]["parameters"]["properties"] for tool in tools if tool["function"]["name"] == name
    )


def test_tools_know_what_a_request_names(retailer: Any, state: Any) -> None:
    tools = counter.tools("Add three packs of butter and eggs", state, retailer)
    form = _form(tools, "add_to_basket")
    assert form["foods"]["items"]["enum"] == ["butter", "eggs"] and form["foods"]["minItems"] == 1
    assert form["packs"]["enum"] == [3]
    assert "remove_from_basket" not in [tool["function"]["name"] for tool in tools]
    spoken = _form(counter.tools("Put them in", state, retailer), "add_to_basket")
    assert spoken["foods"]["maxItems"] == 0
    assert all(tool["function"]["strict"] for tool in tools)
    state.basket = {"butter": 1}
    for request, changes in (("What do I need for tacos?", False), ("Take the butter out", True)):
        names = [tool["function"]["name"] for tool in counter.tools(request, state, retailer)]
        assert any("basket" in name for name in names) is changes


def test_examples_are_found_whatever_the_food(retailer: Any) -> None:
    examples = likeness.Examples(retailer)
    tools = set(pantry.tomllib.loads((pantry.HERE / "examples.toml").read_text()))
    for request, tool in (
        ("What does smoked salmon cost?", "find_products"),
        ("Where can I buy gruyère?", "nearest_store_with"),
        ("How do I make a beef stew?", "find_recipe"),
        ("Remove the bacon", "remove_from_basket"),
    ):
        closest = examples.closest(request, tools)
        assert closest[-1].tool == tool
        assert [one.likeness for one in closest] == sorted(one.likeness for one in closest)
    assert set(pantry.tomllib.loads((pantry.HERE / "wordings.toml").read_text())) == tools


def test_a_basket_is_filled_and_emptied(retailer: Any, state: Any) -> None:
    till = counter.Till(retailer, state)
    till.call("find_recipe", {"recipe": "pancakes"})
    till.call("add_to_basket", {"foods": [], "packs": 1})
    assert set(state.basket) == set(retailer.recipes["pancakes"].ingredients)
    till.call("add_to_basket", {"foods": ["butter"], "packs": 2})
    assert state.basket["butter"] == 3
    till.call("remove_from_basket", {"foods": ["butter", "milk"]})
    assert set(state.basket) == {"flour", "eggs", "sugar"}
    shown = till.basket()
    assert shown["total"] == counter.money(retailer.cost(state.basket)) and len(shown["offers"]) == 3
    till.call("remove_from_basket", {"foods": []})
    assert state.basket == {}


def test_a_state_of_a_page_is_of_this_retailer(retailer: Any) -> None:
    sent = {
        "place": "Moon",
        "basket": {"butter": 2, "gold": 1, "milk": -1, "eggs": "x"},
        "shown": ["milk", "x"],
    }
    state = counter.read(sent, retailer)
    assert (state.place, state.basket, state.shown) == ("Town hall", {"butter": 2}, ["milk"])
    assert counter.read("x", retailer) == counter.State("Town hall")


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("No store has everything, but Old Town, 0.7 km away, has all but capers.", False),
        ("Old Town is 0.7 km away and has everything.", True),
        ("Old Town, 0.9 km away, has all but capers.", True),
        ("Riverside, 0.7 km away, has all but capers.", True),
        ("Old Town, 0.7 km away, has all but capers and honey.", True),
        ("Old Town has all but capers, and", True),
    ],
)
def test_an_answer_holds_to_the_result(retailer: Any, answer: str, wrong: bool) -> None:
    text = "No store has everything. Old Town, 0.7 km away, has all but capers."
    result = counter.Result(text, {}, ["Old Town", "capers"])
    assert bool(wording.problems(answer, "Where do I get it?", result, retailer)) is wrong


def test_the_examples_of_answers_would_stand(retailer: Any) -> None:
    for examples in pantry.tomllib.loads((pantry.HERE / "wordings.toml").read_text()).values():
        for request, outcome, answer in examples:
            assert wording.problems(answer, request, counter.Result(outcome, {}), retailer) == []
