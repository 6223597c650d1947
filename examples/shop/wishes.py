"""From a wish in words to filters: what its words say outright, and what the model makes of the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from goods import ALIASES, BRANDS, CATEGORIES, COLOURS, FEATURES, MATERIALS, SERIES, SHELVES
from shelves import STARS, Filters

_NOT = {"no", "not", "without", "non", "except"}
_MONEY = r"(?:€|\$|eur|euros?)?\s*(\d+)\b(?!\.\d|\s*\+?\s*stars?)\s*(?:€|\$|eur\b|euros?\b)?"
_MOST = (
    r"(?:under|below|less than|up to|at most|max(?:imum)?|(?:no|not) more than|cheaper than|budget of)"
    rf"\s*{_MONEY}"
)
_LEAST = rf"(?:over|above|more than|at least|from)\s*{_MONEY}"
_BETWEEN = rf"(?:between|from)\s*{_MONEY}\s*(?:and|to|-)\s*{_MONEY}"
_AROUND = rf"(?:around|about|roughly)\s*{_MONEY}"
_STARS = r"(\d(?:\.\d)?)\s*(?:\+\s*)?stars?|(?:well|best|top|highly|good)[ -]rated|good reviews"
_CHEAP = r"\b(?:cheap|cheaper|cheapest|inexpensive|lowest price|low price)\b"


def stems(text: str) -> list[str]:
    """The words of a text, small and without the ending of a plural."""
    words = re.findall(r"[a-z]+|\d+", text.lower())
    return [re.sub(r"(?<=ch|sh|ss)es$|(?<=[^s]..)(?<!s)s$", "", word) for word in words]


def _names() -> dict[tuple[str, ...], tuple[str, str]]:
    """What can be named: the stems of a name, to the field of `Filters` and its value."""
    kinds: dict[str, Iterable[tuple[str, str]]] = {
        "category": ((name, shelf.name) for shelf in SHELVES for name in (shelf.name, *shelf.others)),
        "colours": ((name, name) for name in COLOURS),
        "materials": ((name, name) for name in MATERIALS),
        "features": ((name.removeprefix("with "), name) for name in FEATURES),
        "brands": ((name, name) for name in BRANDS),
        "series": ((name, name) for name in SERIES),
    }
    names = {tuple(stems(name)): (kind, value) for kind, pairs in kinds.items() for name, value in pairs}
    for kind, aliases in ALIASES.items():
        names |= {tuple(stems(alias)): (kind, value) for alias, value in aliases.items()}
    return names


_NAMES = _names()
_LONGEST = max(map(len, _NAMES))


def named(text: str) -> list[tuple[str, str, bool]]:
    """What of the catalogue a text names, in order: field of `Filters`, value, whether it is denied.

    The longest name counts: "desk lamps" names no desk. A series is only named after a brand, since many are
    plain words.
    """
    words, found, start = stems(text), [], 0
    while start < len(words):
        for length in range(_LONGEST, 0, -1):
            kind, value = _NAMES.get(tuple(words[start : start + length]), ("", ""))
            if kind and (kind != "series" or (found and found[-1][0] == "brands")):
                found.append((kind, value, bool(_NOT & set(words[max(0, start - 1) : start]))))
                start += length - 1
                break
        start += 1
    return found


def said(wish: str) -> Filters:
    """What the words of a wish say outright."""
    filters = _numbers(wish)
    for kind, value, denied in named(wish):
        if kind == "category":
            filters.category = filters.category or value
        elif (
            chosen := filters.without if denied else getattr(filters, kind)
        ) is not None and value not in chosen:
            chosen.append(value)
    return filters


def _numbers(wish: str) -> Filters:
    text = re.sub(r"(?<=\d)[,.](?=\d{3}\b)", "", wish.lower())
    filters = Filters(sort="price" if re.search(_CHEAP, text) else "rating")
    if stars := re.search(_STARS, text):
        least = float(stars[1] or 4)
        filters.stars = max((step for step in STARS if step <= least), default=0)
    if between := re.search(_BETWEEN, text):
        filters.price_min, filters.price_max = sorted(map(int, between.groups()))
    elif around := re.search(_AROUND, text):
        filters.price_min, filters.price_max = round(int(around[1]) * 0.8), round(int(around[1]) * 1.2)
    else:
        if most := re.search(_MOST, text):
            filters.price_max = int(most[1])
        if least_price := re.search(_LEAST, re.sub(_MOST, "", text)):
            filters.price_min = int(least_price[1])
    return filters


def fitting(wish: str, count: int = 4) -> list[str]:
    """Categories that are for something that the wish speaks of, the likeliest first."""
    uses = {shelf.name: {stem for use in shelf.uses for stem in stems(use)} for shelf in SHELVES}
    common = Counter(use for own in uses.values() for use in own)
    weights = {name: sum(1 / common[use] for use in own & set(stems(wish))) for name, own in uses.items()}
    least = max(weights.values()) / 2
    likely = [name for name, weight in weights.items() if weight and weight >= least]
    return sorted(likely, key=lambda name: -weights[name])[:count]


def goes_on(wish: str, now: Filters, before: Filters) -> bool:
    """Whether the wish changes the search before it ("in red", "cheaper") instead of beginning another."""
    if not before.category or (now.category and now.category != before.category):
        return False
    return now != Filters() and (bool(now.category) or not fitting(wish))


def together(now: Filters, before: Filters) -> Filters:
    """The filters before, with what was said now in their place."""
    changed = {field.name: value for field in fields(now) if (value := getattr(now, field.name))}
    if now.sort == "rating":
        changed["sort"] = before.sort
    kept = replace(before, **changed)
    kept.features = list(dict.fromkeys(before.features + now.features))
    kept.without = [
        value for value in dict.fromkeys(before.without + now.without) if value not in _asked(now)
    ]
    for name in ("colours", "materials", "features"):
        setattr(kept, name, [value for value in getattr(kept, name) if value not in now.without])
    return kept


def _asked(filters: Filters) -> list[str]:
    return filters.colours + filters.materials + filters.features


def schema(categories: Sequence[str]) -> dict[str, Any]:
    """What the model may write: one of `categories`, and values of the catalogue alone."""

    def some(values: Sequence[str]) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "enum": list(values)}, "maxItems": 3}

    properties = {
        "category": {"type": "string", "enum": list(categories)},
        "colours": some(COLOURS),
        "materials": some(MATERIALS),
        "features": some(FEATURES),
        "max_price": {"type": "integer"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@dataclass
class Proposal:
    """What the model made of a wish, by `schema`."""

    category: str
    colours: list[str] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    max_price: int = 0


def settled(now: Filters, proposal: Proposal) -> tuple[Filters, list[tuple[str, str]]]:
    """The filters, and what the model proposed beyond the words of the wish: the field and the value.

    The category is the model's to choose where no word names one. All else would hide products for something
    that nobody asked for: it is only offered.
    """
    filters = replace(now, category=now.category or proposal.category)
    shelf = CATEGORIES[filters.category]
    offers = [("colours", value) for value in proposal.colours if not now.colours]
    offers += [
        ("materials", value) for value in proposal.materials if value in shelf.materials and not now.materials
    ]
    offers += [("features", value) for value in proposal.features if value in shelf.features]
    known = _asked(filters) + filters.without
    return filters, list(dict.fromkeys(offer for offer in offers if offer[1] not in known))[:3]


def read(values: Any) -> Filters:
    """Filters that a page sent, as far as they are of the catalogue."""
    allowed = {
        "colours": COLOURS,
        "materials": MATERIALS,
        "brands": BRANDS,
        "series": SERIES,
        "features": FEATURES,
    }
    allowed["without"] = [*COLOURS, *MATERIALS, *FEATURES]
    filters = Filters()
    if not isinstance(values, dict):
        return filters
    for name, own in allowed.items():
        if isinstance(given := values.get(name), list):
            setattr(filters, name, [value for value in given if isinstance(value, str) and value in own])
    for name in ("price_min", "price_max"):
        if isinstance(number := values.get(name), int) and 0 <= number < 10**9:
            setattr(filters, name, number)
    filters.category = category if (category := values.get("category")) in list(CATEGORIES) else ""
    filters.stars = stars if (stars := values.get("stars")) in STARS else 0
    filters.sort = "price" if values.get("sort") == "price" else "rating"
    return filters
