"""Answers a wish, and asks the model: for the shelf where no word names it, and for reasons."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from examples.kit.chat import form, held
from examples.kit.serve import Event

from .catalogue import SHELVES, Catalogue, Filter, Product, of
from .words import fitting, holds, named, said, together

PROMPTS: dict[str, list[Any]] = tomllib.loads(Path(__file__).with_name("prompts.toml").read_text("utf-8"))
"""What the model is told before a question, examples among it."""
REASONED = 3
"""Products of an answer that are given a reason."""
TEMPERATURES = (0.0, 0.4, 0.7)
"""Of the attempts at one reason: each is freer than the one before."""


@dataclass
class Assistant:
    """Knows the catalogue, and asks the model."""

    catalogue: Catalogue
    client: AsyncOpenAI
    model: str

    async def answer(self, wish: str, before: list[str], *, as_is: bool = False) -> AsyncIterator[Event]:
        """What happens for a wish after filters: filters, products, and reasons as they grow.

        With `as_is`, the filters before are all that is searched for. Raises `openai.APIError`.
        """
        filters = [one for text in before for one in said(text)]
        if not as_is:
            filters = together(wish, filters)
        if not of("category", filters):
            filters.insert(0, Filter("category", await self.shelf(wish)))
        yield {"filters": [str(one) for one in filters]}
        start = time.perf_counter()
        found, left_out = self.catalogue.find(filters)
        spent = round((time.perf_counter() - start) * 1000, 1)
        left = [str(one) for one in left_out]
        yield {"products": [one._asdict() for one in found], "left_out": left, "milliseconds": spent}
        for place, product in enumerate(found[:REASONED]):
            async for text, well in self.reason(wish, product):
                settled = well is not None
                yield {"reason": "" if well is False else text, "of": place, "settled": settled}

    async def shelf(self, wish: str) -> str:
        """The shelf that the model chooses for a wish, of those that may fit."""
        shelves = fitting(wish) or list(SHELVES)
        question = f"Shelves: {'; '.join(shelves)}\nWish: {wish}"
        answer = await self.client.chat.completions.create(
            model=self.model,
            messages=[*PROMPTS["shelf"], {"role": "user", "content": question}],
            temperature=0,
            response_format=form({"shelf": {"type": "string", "enum": shelves}}),
        )
        return str(json.loads(answer.choices[0].message.content or "")["shelf"])

    def reason(self, wish: str, product: Product) -> AsyncIterator[tuple[str, bool | None]]:
        """The reason as far as it is written, and in the end whether it holds."""
        question = f"Wish: {wish}\n{facts(wish, product)}"
        begin = partial(
            self.client.chat.completions.create,
            model=self.model,
            messages=[*PROMPTS["reason"], {"role": "user", "content": question}],
            max_tokens=60,
            stop=["\n"],
            stream=True,
        )
        return held(begin, TEMPERATURES, partial(holds, product, wish))


def facts(wish: str, product: Product) -> str:
    """A product for the model. Features that the wish names come first; the number in its name is left out,
    since small models take it for a figure of something."""
    asked = of("feature", named(wish))
    facts = sorted(product.features.split(","), key=lambda feature: feature not in asked)
    facts += [f"{product.colour} {product.material}", f"{product.price} euros", f"{product.stars} of 5 stars"]
    return f"Product: {product.name.rsplit(' ', 1)[0]}, {product.category}. Facts: {'; '.join(facts)}."
