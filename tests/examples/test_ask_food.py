"""What the food assistant of the examples decides by code: names, tools, stores, and checks of answers."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from examples.ask_food import assistant
from examples.ask_food.catalogue import FOODS, HERE, PLACES, RECIPES, STORES, cookable, named, near, offers
from examples.ask_food.tools import TOOLS, State, money, offered

EXAMPLES = tomllib.loads((HERE / "examples.toml").read_text("utf-8"))


@pytest.fixture
def state() -> State:
    return State()


def test_the_catalogue_is_whole() -> None:
    assert len(FOODS) >= 300 and len(RECIPES) >= 40 and len(STORES) == 8 and len(PLACES) == 5
    assert all(
        int(food["cents"]) > 0 and all(int(food[store]) >= 0 for store in STORES) for food in FOODS.values()
    )
    assert all(set(recipe["ingredients"]) <= set(FOODS) for recipe in RECIPES.values())


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
def test_names_in_a_text(text: str, names: list[str]) -> None:
    assert named(text) == names


def test_what_a_text_comes_near_to() -> None:
    assert {"almonds", "pine nuts"} <= set(near("What nuts do you have?"))
    assert near("Any curry?") == ["curry powder", "curry paste", "vegetable curry", "chicken curry"]
    assert cookable(["spinach", "chickpeas"])[0] == "vegetable curry" and cookable(["liquorice"]) == []


def test_the_nearest_store_with_everything_comes_first() -> None:
    for recipe in RECIPES.values():
        basket = dict.fromkeys(recipe["ingredients"], 2)
        found = offers(basket, "Station")
        full = [away for lacking, away, _ in found if lacking == 0]
        assert full == sorted(full) and all(lacking > 0 for lacking, *_ in found[len(full) :])
        for lacking, _, words in found:
            store = words.split(",")[0]
            short = [food for food, packs in basket.items() if int(FOODS[food][store]) < packs]
            assert lacking == len(short) and all(food in words for food in short)


def test_what_nobody_has_enough_of_is_said(state: State) -> None:
    state.basket = {"butter": 90, "milk": 1}
    result = str(TOOLS["find_store"](state, []))
    assert result.startswith("No store has everything") and "all but butter" in result


def _forms(request: str) -> dict[str, Any]:
    tools: list[Any] = list(offered(TOOLS, request))
    assert all(tool["function"]["strict"] for tool in tools)
    return {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in tools}


def test_tools_know_what_a_request_names() -> None:
    forms = _forms("Add three packs of butter and eggs")
    form = forms["add_to_basket"]
    assert form["names"]["items"]["enum"] == ["butter", "eggs"] and form["names"]["minItems"] == 1
    assert form["packs"]["enum"] == [3] and "packs" not in forms["remove_from_basket"]
    assert _forms("Put them in")["add_to_basket"]["names"]["maxItems"] == 0
    assert "kombucha" in _forms("Do you sell kombucha?")["find_prices"]["names"]["items"]["enum"]


def test_examples_are_found_whatever_the_food() -> None:
    assert set(EXAMPLES) == set(TOOLS)
    for request, tool in (
        ("What does smoked salmon cost?", "find_prices"),
        ("Where can I buy gruyère?", "find_store"),
        ("How do I make a beef stew?", "find_recipes"),
        ("Remove the bacon", "remove_from_basket"),
    ):
        tools, messages = assistant.closest(request, ["butter"])
        assert tools[0] == tool
        assert len(messages) in (5, 9, 13, 17) and messages[-1]["role"] == "assistant"


def test_a_question_changes_no_basket() -> None:
    for request, changes in (("What do I need for tacos?", False), ("Take the butter out", True)):
        assert any("basket" in tool for tool in assistant.closest(request, ["butter"])[0]) is changes
    assert assistant.closest("Where do I put them in my basket?", ["butter"])[0] == ["find_store"]


def test_nothing_is_taken_out_of_an_empty_basket() -> None:
    assert "remove_from_basket" in assistant.closest("Take the butter out", ["butter"])[0]
    assert "remove_from_basket" not in assistant.closest("Take the butter out", [])[0]
    assert assistant.closest("Put them in my basket", [])[0][0] == "add_to_basket"


def test_a_basket_is_filled_and_emptied(state: State) -> None:
    TOOLS["find_recipes"](state, ["pancakes"])
    TOOLS["add_to_basket"](state, [])
    assert set(state.basket) == set(RECIPES["pancakes"]["ingredients"])
    TOOLS["add_to_basket"](state, ["butter"], packs=2)
    assert state.basket["butter"] == 3
    TOOLS["remove_from_basket"](state, ["butter", "milk"])
    assert set(state.basket) == {"flour", "eggs", "sugar"}
    shown = state.view()
    assert shown["total"] == money(state.basket) and len(shown["stores"]) == 3
    TOOLS["remove_from_basket"](state, [])
    assert state.basket == {}


def test_what_is_not_sold_changes_nothing(state: State) -> None:
    for names in (["toothbrush"], []):
        with pytest.raises(LookupError):
            TOOLS["add_to_basket"](state, names)
    assert state == State()


@pytest.mark.parametrize(
    ("answer", "well"),
    [
        ("No store has everything, but Old Town, 0.7 km away, has all but capers.", True),
        ("Old Town is 0.7 km away and has everything.", False),
        ("No store has everything, but Old Town, 0.9 km away, has all but capers.", False),
        ("No store has everything, but Riverside, 0.7 km away, has all but capers.", False),
        ("No store has everything, but Old Town, 0.7 km away, has all but capers and honey.", False),
        ("No store has everything, but it is 0.7 km away.", False),
        ("No, Old Town, 0.7 km away, has all but capers, and", False),
    ],
)
def test_an_answer_holds_to_the_result(answer: str, well: bool) -> None:
    result = "No store has everything, but Old Town, 0.7 km away, has all but capers."
    assert assistant.holds("Where do I get it?", result, answer) is well


def test_the_examples_are_true() -> None:
    for tool, examples in EXAMPLES.items():
        for request, arguments, result, answer in examples:
            assert assistant.holds(request, result, answer), request
            if tool in ("find_recipes", "find_prices") and "No food" not in result:
                assert str(TOOLS[tool](State(), **arguments)) == result
