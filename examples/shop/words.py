"""What words say: which filters those of a wish are, and whether those of a reason hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .catalogue import DATA, KINDS, SHELVES, Filter, Product, of

MOST = r"up to|under|below|at most|(?:less|cheaper|no more|not more) than"
LEAST = r"from|over|above|at least|more than"
FIGURE = re.compile(rf"\b(?:({MOST}) |({LEAST}) )?(\d+(?:\.\d+)?)( stars?\b)?")
NUMBER = re.compile(r"\d[\d.,]*\d|\d")
BEGINNINGS = set("The This These It Its They With For If In At A An And Your Perfect Ideal Great".split())
"""Words that may begin a sentence; another that is written like a name has to be one of the product."""
TWICE = re.compile(r"\b(\w+) \1\b|\b(\w+ \w+ \w+)\b.*\b\2\b")


def stems(text: str) -> list[str]:
    """The words of a text, small and without the ending of a plural."""
    words = re.findall(r"[a-z]+|\d+", text.lower())
    return [re.sub(r"(?<=ch|sh|ss)es$|(?<=[^s]..)(?<!s)s$", "", word) for word in words]


OTHERS = {
    **{value.removeprefix("with "): value for value in KINDS},
    **{other: name for name, shelf in SHELVES.items() for other in shelf["others"]},
    **DATA["aliases"],
    **{value: value for value in KINDS},
}
NAMES = {" ".join(stems(name)): value for name, value in OTHERS.items()}
"""All that a text can name, by its stems, and the value that it is."""
LONGEST_FIRST = "|".join(sorted(NAMES, key=len, reverse=True))  # "desk lamps" names no desk
NAMED = re.compile(rf"\b(?:(no|not|without|non) )?({LONGEST_FIRST})\b")
USES = {name: set(stems(" ".join(shelf["uses"]))) for name, shelf in SHELVES.items()}


def named(text: str) -> list[Filter]:
    """The values that a text names or denies ("not red"), in order."""
    found = [(no, NAMES[name]) for no, name in NAMED.findall(" ".join(stems(text)))]
    return list(dict.fromkeys(Filter("not" if no else KINDS[value], value) for no, value in found))


def figures(wish: str) -> list[Filter]:
    """The limits that a wish says, in figures or in words ("well rated", "cheap")."""
    text = " ".join(re.sub(r"(?<=\d),(?=\d{3}\b)|[€$]", "", wish.lower()).split())
    text = re.sub(r"\b(?:between|from) (\d+)(?: euros?)?(?: and | to | ?- ?)(\d+)", r"over \1 under \2", text)
    text = re.sub(r"\b(?:well|best|top|highly)[ -]rated", "4 stars", text)
    found = [
        Filter("at least" if stars else "up to" if most else "from", min(float(number), 9999))
        for most, least, number, stars in FIGURE.findall(text)
        if most or least or stars
    ]
    cheap = re.search(r"\bcheap|\binexpensive", text)
    return [*found, Filter("order", "cheapest first")] if cheap else found


def said(wish: str) -> list[Filter]:
    """What a wish says outright: the first shelf that it names, and all else."""
    found = named(wish)
    shelves = [one for one in found if one.kind == "category"]
    return shelves[:1] + [one for one in found if one not in shelves] + figures(wish)


def fitting(wish: str) -> list[str]:
    """The shelves that are for most of what a wish speaks of."""
    shared = {name: len(uses & set(stems(wish))) for name, uses in USES.items()}
    most = max(shared.values())
    return [name for name, count in shared.items() if count == most] if most else []


def together(wish: str, before: Sequence[Filter]) -> list[Filter]:
    """What a wish says outright; with the filters before, if it changes these ("in red", "cheaper") and
    does not begin anew."""
    now = said(wish)
    if not now or of("category", now) or fitting(wish):
        return now
    kinds, values = {one.kind for one in now} - {"feature", "not"}, [one.value for one in now]
    return [one for one in before if one.kind not in kinds and one.value not in values] + now


def holds(product: Product, wish: str, reason: str) -> bool:
    """Whether a reason is a sentence that names the product, a fact of it, and nothing that it has not."""
    kind = {product.category, product.brand}
    facts = {product.colour, product.material, *product.features.split(",")}
    values = {one.value for one in named(reason)}
    names = set(re.findall(r"\b[A-Z][a-z]+", reason)) - BEGINNINGS
    rest = re.sub(rf"\b{product.stars:g}(?:\.0)?[ -](?:(?:out )?of 5|stars?)\b", "", reason)
    return (
        reason.endswith((".", "!"))
        and not TWICE.search(" ".join(stems(reason)))
        and not of("not", named(reason))
        and values <= {*kind, *facts, *of("category", named(wish))}
        and bool(values & kind)
        and bool(values & facts or str(product.price) in reason)
        and set(stems(" ".join(names))) <= set(stems(" ".join([product.name, *kind, *facts, wish])))
        and set(NUMBER.findall(rest)) <= {str(product.price), *NUMBER.findall(wish)}
        and not re.search(r"\d[ -](?:star|review|rating)", rest)
    )
