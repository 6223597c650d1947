"""Why a product fits a wish: what the model is told, and whether what it wrote holds to that."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goods import Product
from wishes import named, stems

SYSTEM = (
    "You are a shop assistant. Say in one short sentence why the product fits the wish. Use the facts only."
)
_EXAMPLES = [
    (
        "Wish: waterproof boots under 100 euros",
        "Product: Foxwell Ridge, hiking boots. Facts: waterproof; wide fit; 89 euros; 4.6 of 5 stars.",
        "These hiking boots are waterproof, have a wide fit and cost only 89 euros.",
    ),
    (
        "Wish: something to read at night",
        "Product: Swanton Arc, desk lamp. Facts: dimmable; white steel; 34 euros; 4.1 of 5 stars.",
        "The white Swanton lamp is dimmable, which is gentle for reading at night, and it costs 34 euros.",
    ),
]
_BEGINNINGS = (
    "The This These That Those A An It Its They Their With For If In At As And But Not Also You Your Made "
    "Perfect Ideal Great Enjoy Choose Get Because Since While When Rated Priced Our We"
).split()
"""Words that may begin a sentence; another that is written like a name has to be one of the product."""
_LONGEST = 45
"""Words of a reason."""


def messages(wish: str, product: Product) -> list[dict[str, str]]:
    """What the model is asked. Facts that the wish names come first; the number in the name is left out,
    since small models take it for a figure of something."""
    asked = {value for _, value, _ in named(wish)}
    features = sorted(product.features.split(", "), key=lambda feature: feature not in asked)
    facts = [
        *features,
        f"{product.colour} {product.material}",
        f"{product.price} euros",
        f"{product.stars} of 5 stars",
    ]
    name = product.name.rsplit(" ", 1)[0]
    asking = [{"role": "system", "content": SYSTEM}]
    for example, data, reason in _EXAMPLES:
        asking.append({"role": "user", "content": f"{example}\n{data}"})
        asking.append({"role": "assistant", "content": reason})
    data = f"Product: {name}, {product.category}. Facts: {'; '.join(facts)}."
    return [*asking, {"role": "user", "content": f"Wish: {wish}\n{data}"}]


def problems(reason: str, product: Product, wish: str) -> list[str]:
    """What in a reason is not of the product, or is no reason; empty if it can stand."""
    return [*_form(reason), *_figures(reason, product, wish), *_names(reason, product, wish)]


def _form(reason: str) -> Iterator[str]:
    words = stems(reason)
    if not reason.rstrip().endswith((".", "!")):
        yield "no whole sentence"
    if not 4 <= len(words) <= _LONGEST:
        yield f"{len(words)} words"
    if any(words[n : n + 3] == words[m : m + 3] for n in range(len(words) - 2) for m in range(n)):
        yield "says something twice"
    yield from (f"“{word} {word}”" for word, after in zip(words, words[1:], strict=False) if word == after)


def _figures(reason: str, product: Product, wish: str) -> Iterator[str]:
    """Numbers: each one of the product, as what it is, or one of the wish."""
    price, stars, reviews = str(product.price), f"{product.stars:g}", str(product.reviews)
    wished = set(re.findall(r"\d+(?:\.\d+)?", wish))
    name = set(re.findall(r"\d+", product.name))
    for match in re.finditer(r"\d+(?:[.,]\d+)*", reason):
        number, after, before = match[0], reason[match.end() :].lower(), reason[: match.start()].lower()
        if re.match(r"\s*(?:€|euro|\$|dollar)", after) or re.search(r"[€$]\s*$", before):
            right = {price} | wished
        elif re.match(r"\s*(?:customer )?(?:review|rating)", after):
            right = {reviews}
        elif re.match(r"\s*(?:out )?of\s*5", after) or re.match(r"[\s-]*star", after):
            right = {stars, f"{product.stars:.1f}"} | ({"5"} if re.search(r"of\s*$", before) else set())
        elif re.search(r"of\s*$", before):
            right = {"5"}
        else:
            right = {price, stars, f"{product.stars:.1f}", reviews} | wished | name
        if number not in right:
            yield f"“{number}”"


def _names(reason: str, product: Product, wish: str) -> Iterator[str]:
    """Values of the catalogue, and names: each one of the product, or of the wish."""
    own = {
        product.category,
        product.colour,
        product.material,
        *product.features.split(", "),
        *product.name.split(),
    }
    wished = {value for kind, value, _ in named(wish) if kind == "category"}
    said = named(reason)
    yield from (f"“{value}”" for _, value, denied in said if denied or value not in own | wished)
    kind = {product.category, product.brand}
    if not {value for _, value, _ in said} & kind:
        yield "neither the product nor its kind"
    if not {value for _, value, _ in said} & own - kind and str(product.price) not in reason:
        yield "no fact of the product"
    plain = set(stems(" ".join(own) + " " + wish))
    for name in re.findall(r"\b[A-Z][a-z]+", reason):
        if name not in _BEGINNINGS and not set(stems(name)) <= plain:
            yield f"“{name}”"
