"""The catalogue: foods with the stock of every store, recipes, and how a text names them."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from math import dist
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_places = tomllib.loads((HERE / "stores.toml").read_text("utf-8"))
STORES: dict[str, list[float]] = _places["stores"]
PLACES: dict[str, list[float]] = _places["places"]
"""Where a customer may be."""
FOODS = {row["food"]: row for row in csv.DictReader((HERE / "foods.csv").read_text("utf-8").splitlines())}
"""Of each food the aisle, the pack, its price in cents, and the packs in stock, by store."""
RECIPES: dict[str, dict[str, Any]] = tomllib.loads((HERE / "recipes.toml").read_text("utf-8"))


def offers(basket: Mapping[str, int], place: str) -> list[tuple[int, float, str]]:
    """What each store can do for packs of foods: how many foods it lacks, how many kilometres it is away,
    and both in words. The best comes first."""
    found = []
    for store, where in STORES.items():
        missing = [food for food, packs in basket.items() if int(FOODS[food][store]) < packs]
        does = f"has all but {joined(missing)}" if missing else "has everything"
        away = round(dist(where, PLACES[place]), 1)
        found.append((len(missing), away, f"{store}, {away} km away, {does}"))
    return sorted(found)


def cookable(foods: Iterable[str]) -> list[str]:
    """The three recipes that use most of some foods."""
    used = {name: len(set(foods) & set(recipe["ingredients"])) for name, recipe in RECIPES.items()}
    return sorted((name for name in used if used[name]), key=lambda name: -used[name])[:3]


def joined(words: Sequence[str]) -> str:
    """The words as a sentence lists them."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def stems(text: str) -> list[str]:
    """The words of a text, small and without the ending of a plural."""
    words = re.findall(r"[^\W_]+", re.sub(r"['’]", "", text.lower()))
    return [re.sub(r"(?<=o)es$|(?<=[cs]h)es$|(?<=..[^s])s$", "", re.sub("ies$", "y", word)) for word in words]


_kinds = dict.fromkeys(FOODS, "food") | dict.fromkeys(RECIPES, "recipe") | dict.fromkeys(STORES, "store")
_names = {" ".join(stems(name)): name for name in _kinds}
# The longest counts: "oat milk" names no milk.
_any_name = re.compile(rf"\b(?:{'|'.join(sorted(_names, key=len, reverse=True))})\b")


def named(text: str) -> list[str]:
    """The foods, recipes and stores that a text names, in order."""
    return list(dict.fromkeys(_names[found] for found in _any_name.findall(" ".join(stems(text)))))


def near(text: str) -> list[str]:
    """What a text names of foods and recipes; if nothing, a dozen that share a word with it, or an aisle."""
    words = set(stems(text))
    alike = [food for food, row in FOODS.items() if words & {*stems(food), *stems(row["aisle"])}]
    alike += [recipe for recipe in RECIPES if words & {*stems(recipe)}]
    return [name for name in named(text) if name not in STORES] or alike[:12]


def nameless(text: str) -> set[str]:
    """The words of a text, "food" in place of foods and so on: what is asked, not about what."""
    return set(_any_name.sub(lambda found: _kinds[_names[found[0]]], " ".join(stems(text))).split())
