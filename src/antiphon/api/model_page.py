"""`/models`: what each name means today and next, for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import jinja2

from antiphon.api.exchange import Exchange
from antiphon.api.reference import CSP
from antiphon.catalogue.listing import Listing
from antiphon.catalogue.prices import dollars
from antiphon.values import Price


class ModelPage:
    """The page, made anew for each visitor: it is small, and always right."""

    def __init__(self, listing: Callable[[], Sequence[Listing]], public: bool) -> None:
        self.public = public
        self._listing = listing
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("antiphon.api"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {"moment": _moment, "price": priced}
        self._template = environment.get_template("models.html")

    async def models(self, exchange: Exchange) -> None:
        found = self._listing()
        page = self._template.render(
            aliases=[one for one in found if one.means], snapshots=[one for one in found if not one.means]
        )
        headers = {"content-security-policy": CSP, "cache-control": "no-cache"}
        await exchange.answer(page.encode(), "text/html; charset=utf-8", headers=headers)


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def priced(price: Price | None) -> str:
    """In a few words, as "$0.002 in, $0.002 out (1,000 tokens)"."""
    if price is None:
        return "free"
    words = []
    if price.input or price.output:
        words.append(f"${dollars(price.input)} in, ${dollars(price.output)} out (1,000 tokens)")
    if price.second:
        words.append(f"${dollars(price.second * 60)} a minute of sound")
    return "; ".join(words) or "free"
