"""The tools of the chat, and what happens when the model calls them. All sums are made here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from openai.types.chat import ChatCompletionFunctionToolParam

from examples.kit.chat import closed

from .catalogue import FOODS, PLACES, RECIPES, cookable, joined, near, offers, stems

_NUMBERS = "one two three four five six seven eight nine ten".split()
_SPOKEN_OF = re.compile(r"\b(?:it|that|this|them|these|those|all|everything|both)\b", re.IGNORECASE)


@dataclass
class State:
    """What a conversation has come to."""

    place: str = next(iter(PLACES))
    basket: dict[str, int] = field(default_factory=dict)
    """Packs of each food."""
    spoken: list[str] = field(default_factory=list)
    """The foods that were spoken of last: what "them" and "all of that" mean."""

    def view(self) -> dict[str, Any]:
        """The basket as the page shows it, and the best stores for it."""
        lines = [f"{packs} × {food}: {money({food: packs})}" for food, packs in self.basket.items()]
        stores = [words for _, _, words in offers(self.basket, self.place)[:3]]
        return {"place": self.place, "lines": lines, "total": money(self.basket), "stores": stores}


class Result(NamedTuple):
    """What came of a call: the page shows all of it, the model is told all but the note."""

    title: str
    lines: Sequence[str] = ()
    """What ends the sentence that the title begins."""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.title} {joined(self.lines)}".strip() + "."


def money(basket: dict[str, int]) -> str:
    """What packs of foods cost."""
    return f"{sum(int(FOODS[food]['cents']) * packs for food, packs in basket.items()) / 100:.2f} euros"


def meant(state: State, names: list[str]) -> list[str]:
    """The foods that names mean, a recipe its ingredients; no names mean those spoken of last."""
    if unknown := [name for name in names if name not in FOODS and name not in RECIPES]:
        raise LookupError(f"No food here is called {unknown[0]}")
    foods = [food for name in names for food in (RECIPES[name]["ingredients"] if name in RECIPES else [name])]
    state.spoken = list(dict.fromkeys(foods)) or state.spoken
    if not state.spoken:
        raise LookupError("No food was named")
    return state.spoken


def find_recipes(state: State, names: list[str]) -> Result:
    """Show a recipe, or recipes that use foods."""
    foods = meant(state, names)
    if names and (recipe := RECIPES.get(names[0])):
        return Result(f"For {names[0]} ({recipe['minutes']} minutes) you need", foods, recipe["method"])
    if found := cookable(foods):
        return Result(f"With {joined(foods)} you can make", found)
    return Result(f"No recipe here uses {joined(foods)}")


def find_prices(state: State, names: list[str]) -> Result:
    """Show whether foods are sold, and for how much."""
    return Result("We sell", [f"{food} for {money({food: 1})}" for food in meant(state, names)[:6]])


def add_to_basket(state: State, names: list[str], packs: int = 1) -> Result:
    """Put foods, or all that a recipe needs, into the basket."""
    for food in (foods := meant(state, names)):
        state.basket[food] = state.basket.get(food, 0) + packs
    many = f"{packs} packs of " if packs > 1 else ""
    return Result(f"The basket costs {money(state.basket)} now, with", [many + food for food in foods])


def remove_from_basket(state: State, names: list[str]) -> Result:
    """Take foods out of the basket, or empty it."""
    for food in (foods := meant(state, names) if names else [*state.basket]):
        state.basket.pop(food, None)
    return Result(f"The basket costs {money(state.basket)} now, without", foods or ["anything"])


def find_store(state: State, names: list[str]) -> Result:
    """Find the nearest store that has foods, or the whole basket."""
    wanted = state.basket if state.basket and not names else dict.fromkeys(meant(state, names), 1)
    lacking, _, words = offers(wanted, state.place)[0]
    return Result(f"No store has everything, but {words}" if lacking else words)


TOOLS: dict[str, Callable[..., Result]] = {
    tool.__name__: tool for tool in (find_recipes, find_prices, add_to_basket, remove_from_basket, find_store)
}


def offered(tools: Iterable[str], request: str) -> list[ChatCompletionFunctionToolParam]:
    """Some tools, for a request: their enums are what it names or comes near to, and counts.

    If it names nothing, "them" and the like mean the foods spoken of last; else the model finds a name in it.
    """
    close, words = near(request), sorted({*stems(request)})
    some = close or ([] if _SPOKEN_OF.search(request) else words)
    item = {"type": "string", "enum": some or [""]}
    names = {"type": "array", "items": item, "minItems": min(len(close), 1), "maxItems": len(some)}
    counts = [n for n, word in enumerate(_NUMBERS, start=1) if word in words or str(n) in words]
    packs = {"packs": {"type": "integer", "enum": counts}} if counts else {}
    return [_described(tool, names=names, **(packs if tool == "add_to_basket" else {})) for tool in tools]


def _described(name: str, **fields: Any) -> ChatCompletionFunctionToolParam:
    about = TOOLS[name].__doc__ or ""
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": closed(fields), "strict": True},
    }
