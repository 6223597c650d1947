"""Foods, recipes and stores with their stock, the same for every seed, and what can be asked about them."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterable, Mapping
from math import hypot
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent


class Food(NamedTuple):
    """Something that is sold by the pack."""

    name: str
    aisle: str
    pack: str
    price: int
    """Of a pack, in cents."""


class Recipe(NamedTuple):
    """Something to cook, for four: a pack of each of its ingredients is enough."""

    name: str
    minutes: int
    ingredients: tuple[str, ...]
    method: str


class Store(NamedTuple):
    """A place of the retailer: where it is, in kilometres from the town hall, and the packs that it has."""

    name: str
    place: tuple[float, float]
    stock: dict[str, int]


class Offer(NamedTuple):
    """What a store can do for a basket."""

    store: str
    kilometres: float
    missing: dict[str, int]
    """Packs that it lacks; empty if it has everything."""


def stems(text: str) -> list[str]:
    """The words of a text, small and without the ending of a plural."""
    words = re.findall(r"[a-zà-ü]+|\d+", text.lower().replace("'", ""))
    return [
        re.sub(r"(?<=..)(?:(?<=o)es|(?<=ch)es|(?<=sh)es|ies|(?<=[^s])s)$", _singular, word) for word in words
    ]


def _singular(ending: re.Match[str]) -> str:
    return "y" if ending[0] == "ies" else ""


def _price(dice: random.Random, aisle: Mapping[str, Any]) -> int:
    return dice.randrange(*aisle["prices"]) // 10 * 10 + 9


class Pantry:
    """All that the retailer has, made of pantry.toml and recipes.toml."""

    def __init__(self, seed: int = 1) -> None:
        dice = random.Random(seed)
        data = tomllib.loads((HERE / "pantry.toml").read_text())
        cooked = tomllib.loads((HERE / "recipes.toml").read_text())["recipe"]
        self.foods = {
            name: Food(
                name, aisle["name"], aisle.get("packs", {}).get(name, aisle["pack"]), _price(dice, aisle)
            )
            for aisle in data["aisle"]
            for name in aisle["foods"]
        }
        self.recipes = {
            one["name"]: Recipe(one["name"], one["minutes"], tuple(one["ingredients"]), one["method"])
            for one in cooked
        }
        self._names = {tuple(stems(name)): name for name in (*self.foods, *self.recipes)}
        self.places: dict[str, tuple[float, float]] = {
            name: (east, north) for name, (east, north) in data["places"].items()
        }
        self.stores = [
            Store(one["name"], tuple(one["place"]), self._stock(dice, one["has"])) for one in data["store"]
        ]

    def _stock(self, dice: random.Random, share: float) -> dict[str, int]:
        return {name: dice.randint(2, 20) for name in self.foods if dice.random() < share}

    def cost(self, basket: Mapping[str, int]) -> int:
        """What a basket costs, in cents."""
        return sum(self.foods[name].price * packs for name, packs in basket.items())

    def offers(self, basket: Mapping[str, int], place: str) -> list[Offer]:
        """What each store can do for a basket: those that lack the fewest foods first, then the nearest."""
        east, north = self.places[place]
        offers = []
        for store in self.stores:
            lacks = {food: packs - store.stock.get(food, 0) for food, packs in basket.items()}
            away = round(hypot(store.place[0] - east, store.place[1] - north), 1)
            offers.append(
                Offer(store.name, away, {food: packs for food, packs in lacks.items() if packs > 0})
            )
        return sorted(offers, key=lambda offer: (len(offer.missing), offer.kilometres))

    def cookable(self, foods: Iterable[str], count: int = 3) -> list[Recipe]:
        """Recipes that use most of some foods, and need the least beside them."""
        have = set(foods)
        used = [recipe for recipe in self.recipes.values() if have & set(recipe.ingredients)]
        used.sort(key=lambda recipe: (-len(have & set(recipe.ingredients)), len(recipe.ingredients)))
        return used[:count]

    def named(self, text: str) -> list[str]:
        """Foods and recipes that a text names, in order. The longest counts: "oat milk" names no milk."""
        words, found, start = stems(text), [], 0
        while start < len(words):
            for length in range(4, 0, -1):
                if name := self._names.get(tuple(words[start : start + length])):
                    found.append(name)
                    start += length - 1
                    break
            start += 1
        return list(dict.fromkeys(found))

    def foods_of(self, word: str) -> list[str]:
        """The foods that a name of the model means: one, or the ingredients of a recipe."""
        if word in self.recipes:
            return list(self.recipes[word].ingredients)
        return self.like_foods(word, 1)

    def like_foods(self, text: str, count: int = 12) -> list[str]:
        """What a text names; if nothing, foods whose names share a word with it, or whose aisle does."""
        words = set(stems(text))
        close = [food for food in self.foods if words & set(stems(food))]
        shelf = [food.name for food in self.foods.values() if words & (set(stems(food.aisle)) - {"and"})]
        return list(dict.fromkeys(self.named(text) or [*close, *shelf]))[:count]

    def like_recipes(self, text: str, count: int = 5) -> list[str]:
        """Recipes that a text names; if it is none, those whose names share a word with it."""
        words = set(stems(text))
        close = [recipe for recipe in self.recipes if words & set(stems(recipe))]
        return ([name for name in self.named(text) if name in self.recipes] or close)[:count]

    def without_names(self, text: str) -> list[str]:
        """The stems of a text, `food` and `recipe` in place of names: what is asked, not about what."""
        rest = " ".join(stems(text))
        for name in self.named(text):
            rest = rest.replace(" ".join(stems(name)), "recipe" if name in self.recipes else "food", 1)
        return rest.split()
