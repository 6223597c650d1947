"""The tools of the chat: what the model may call, and what happens then. All sums are made here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pantry import Offer, Pantry, stems

MOST_PACKS = 99
_NAME = "^[a-zà-ü][a-zà-ü '-]{1,24}$"
_QUESTION = re.compile(r"\W*(?:and )?(?:what|which|where|who|how|is|are|do|does|any)\b", re.IGNORECASE)
_SPOKEN_OF = re.compile(r"\b(?:it|that|this|them|these|those|all|everything|both)\b", re.IGNORECASE)
_NUMBERS = "two three four five six seven eight nine ten eleven twelve".split()


@dataclass
class State:
    """What a conversation has come to. The page keeps it and sends it along."""

    place: str
    basket: dict[str, int] = field(default_factory=dict)
    """Packs of each food."""
    shown: list[str] = field(default_factory=list)
    """The foods that were spoken of last: what "them" and "all of that" mean."""


@dataclass
class Result:
    """What came of a call: in words, for the model, and as a card, for the page."""

    text: str
    card: dict[str, Any]
    needed: list[str] = field(default_factory=list)
    """What an answer has to say, whatever its words: a price, a store, what is missing."""


def read(values: Any, pantry: Pantry) -> State:
    """The state that a page sent, as far as it is of this retailer."""
    values = values if isinstance(values, dict) else {}
    place = values.get("place")
    state = State(place if isinstance(place, str) and place in pantry.places else next(iter(pantry.places)))
    basket, shown = values.get("basket"), values.get("shown")
    for food, packs in basket.items() if isinstance(basket, dict) else ():
        if food in pantry.foods and isinstance(packs, int) and 0 < packs <= MOST_PACKS:
            state.basket[food] = packs
    state.shown = [food for food in shown if food in pantry.foods] if isinstance(shown, list) else []
    return state


def joined(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))


def money(cents: int) -> str:
    return f"{cents / 100:.2f} euros"


def tools(request: str, state: State, pantry: Pantry) -> list[dict[str, Any]]:
    """What may be called for a request, in the shapes of the API.

    Foods are those that the request comes near to, at least one if it names any; a recipe stands for all that
    it needs. Where there is none, the model writes a name, which is looked up; "them" and the like leave the
    list empty, for the foods that were spoken of last. Packs are what the request counts. A question never
    changes the basket.
    """
    named, near = pantry.named(request), pantry.like_foods(request)
    free = 0 if _SPOKEN_OF.search(request) else 1
    some = {
        "type": "array",
        "items": {"type": "string", "enum": near} if near else {"type": "string", "pattern": _NAME},
        "minItems": min(len(named), 1),
        "maxItems": len(near) or free,
    }
    packs = {"type": "integer", "enum": counted(request) or [1]}
    recipe = {"type": "string", "enum": pantry.like_recipes(request)}
    offered = [
        _tool("find_products", "Show foods and their prices.", foods=some),
        _tool("recipes_with", "Show recipes that use foods.", foods=some),
        _tool("add_to_basket", "Put foods into the basket.", foods=some, packs=packs),
        _tool(
            "nearest_store_with", "Find the nearest store that has foods, or the whole basket.", foods=some
        ),
    ]
    if recipe["enum"]:
        offered.append(_tool("find_recipe", "Show a recipe: ingredients and method.", recipe=recipe))
        offered.append(_tool("add_recipe_to_basket", "Put all ingredients into the basket.", recipe=recipe))
    if state.basket:
        offered.append(_tool("remove_from_basket", "Take foods out of the basket.", foods=some))
    return [
        tool for tool in offered if not (_QUESTION.match(request) and "basket" in tool["function"]["name"])
    ]


def counted(request: str) -> list[int]:
    """The numbers of packs that a request speaks of."""
    numbers = {word: number for number, word in enumerate(_NUMBERS, start=2)} | {"dozen": 12}
    found = (numbers.get(word, int(word) if word.isdecimal() else 0) for word in stems(request))
    return [number for number in dict.fromkeys(found) if 0 < number <= MOST_PACKS]


def _tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    function = {"name": name, "description": description, "parameters": form, "strict": True}
    return {"type": "function", "function": function}


class Till:
    """Does what is called, on a state."""

    def __init__(self, pantry: Pantry, state: State) -> None:
        self._pantry = pantry
        self._state = state

    def call(self, name: str, arguments: dict[str, Any]) -> Result:
        """Do what a tool of `tools` says."""
        functions: dict[str, Callable[..., Result]] = {
            "find_products": self._products,
            "recipes_with": self._recipes_with,
            "add_to_basket": self._add,
            "nearest_store_with": self._nearest,
            "find_recipe": self._recipe,
            "add_recipe_to_basket": self._add_recipe,
            "remove_from_basket": self._remove,
        }
        return functions[name](**arguments)

    def basket(self) -> dict[str, Any]:
        """The basket as the page shows it: lines, what it costs, and what the best stores can do for it."""
        basket = self._state.basket
        lines = [
            {
                "food": food,
                "packs": packs,
                "pack": self._pantry.foods[food].pack,
                "price": self._price(food, packs),
            }
            for food, packs in basket.items()
        ]
        offers = self._pantry.offers(basket, self._state.place)[:3] if basket else []
        return {"lines": lines, "total": self._cost(), "offers": [offer._asdict() for offer in offers]}

    def _price(self, food: str, packs: int = 1) -> str:
        return money(self._pantry.foods[food].price * packs)

    def _cost(self) -> str:
        return money(self._pantry.cost(self._state.basket))

    def _meant(self, words: list[str]) -> list[str]:
        """The foods that words mean, a recipe its ingredients; no words mean those spoken of last."""
        found = [food for word in words for food in self._pantry.foods_of(word)]
        self._state.shown = list(dict.fromkeys(found)) or self._state.shown
        return self._state.shown if found or not words else []

    def _unknown(self, words: list[str]) -> Result:
        text = f"Nothing here is called {joined(words)}." if words else "No food was named."
        return Result(text, {"title": "Not found", "lines": words}, words)

    def _products(self, foods: list[str]) -> Result:
        if not (found := self._meant(foods)[:6]):
            return self._unknown(foods)
        lines = [f"{food}, {self._pantry.foods[food].pack}: {self._price(food)}" for food in found]
        costs = [f"{food} cost{'' if food.endswith('s') else 's'} {self._price(food)}" for food in found]
        return Result(
            f"Yes: {', '.join(costs)}.", {"title": "Products", "lines": lines}, [self._price(found[0])]
        )

    def _recipe(self, recipe: str) -> Result:
        one = self._pantry.recipes[recipe]
        self._state.shown = list(one.ingredients)
        # The card has the method: with it, small models mix up what is needed and what is done.
        text = f"{one.name} needs {joined(one.ingredients)}, and takes {one.minutes} minutes."
        needed = [one.name, one.ingredients[0]]
        title = f"{one.name.capitalize()} · {one.minutes} minutes"
        return Result(text, {"title": title, "lines": list(one.ingredients), "note": one.method}, needed)

    def _recipes_with(self, foods: list[str]) -> Result:
        meant = self._meant(foods)
        if not (found := self._pantry.cookable(meant)):
            return Result(f"No recipe uses {joined(meant or foods)}.", {"title": "No recipe", "lines": foods})
        names = [one.name for one in found]
        lines = [f"{one.name}: {', '.join(one.ingredients)}" for one in found]
        return Result(
            f"With {joined(meant)}: {joined(names, 'or')}.", {"title": "Recipes", "lines": lines}, names[:1]
        )

    def _add(self, foods: list[str], packs: int) -> Result:
        if not (found := self._meant(foods)):
            return self._unknown(foods)
        for food in found:
            self._state.basket[food] = min(self._state.basket.get(food, 0) + packs, MOST_PACKS)
        count = f"{packs} packs" if packs > 1 else "1 pack"
        are = "is" if packs == 1 else "are"
        text = f"{count} of {joined(found)} {are} in the basket now. It costs {self._cost()}."
        return Result(text, {"title": "Added", "lines": [f"{packs} × {food}" for food in found]}, found[:1])

    def _add_recipe(self, recipe: str) -> Result:
        foods = list(self._pantry.recipes[recipe].ingredients)
        self._state.shown = foods
        for food in foods:
            self._state.basket.setdefault(food, 1)
        text = f"{joined(foods)} for {recipe} are in the basket now. It costs {self._cost()}."
        return Result(text, {"title": f"Added for {recipe}", "lines": foods}, ["basket"])

    def _remove(self, foods: list[str]) -> Result:
        wanted = self._meant(foods) if foods else list(self._state.basket)
        if not (gone := [food for food in wanted if self._state.basket.pop(food, 0)]):
            return Result(
                f"{joined(foods)} was not in the basket.", {"title": "Not in the basket", "lines": foods}
            )
        cost = f"It costs {self._cost()}." if self._state.basket else "It is empty."
        text = f"{joined(gone)} {'is' if len(gone) == 1 else 'are'} no longer in the basket. {cost}"
        return Result(text, {"title": "Taken out", "lines": gone}, ["basket"])

    def _nearest(self, foods: list[str]) -> Result:
        wanted = (
            dict.fromkeys(self._meant(foods), 1) if foods or not self._state.basket else self._state.basket
        )
        if not wanted:
            return self._unknown(foods)
        offers = self._pantry.offers(wanted, self._state.place)[:3]
        best = offers[0]
        where = f"{best.store}, {best.kilometres} km away, has"
        if best.missing:
            text = f"No store has everything. {where} all but {joined(list(best.missing))}."
        else:
            text = f"{where} {joined(list(wanted)) if len(wanted) < 5 else 'everything'}."
        lines = [f"{one.store}, {one.kilometres} km: {_does(one)}" for one in offers]
        return Result(text, {"title": "Stores", "lines": lines}, [best.store, *best.missing])


def _does(offer: Offer) -> str:
    return f"lacks {joined(list(offer.missing))}" if offer.missing else "has everything"
