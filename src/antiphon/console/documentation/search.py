"""The index that pages are searched by: titles, headings and texts, ranked in the reader's browser."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

import msgspec

from antiphon.console.documentation.addresses import Addresses
from antiphon.console.documentation.outline import REFERENCE, Outline, Page
from antiphon.console.documentation.rendering import Rendered, Section

FILE = "search-index.js"
"""A script, not JSON: a page that was opened from a disk may load no other file."""


class Index(msgspec.Struct, frozen=True):
    """`pages` are title, group, address (from the index); `sections` the page's number, id, title, text."""

    pages: Sequence[tuple[str, str, str]]
    sections: Sequence[tuple[int, str, str, str]]


class _Texts(HTMLParser):
    """The words of each `<section>` of a page, by its id; those of its `<h2>` are its title, and left out."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, list[str]] = {}
        self._words: list[str] | None = None
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self._words = self.of.setdefault(dict(attrs).get("id") or "", [])
        self._in_title |= tag == "h2"

    def handle_endtag(self, tag: str) -> None:
        self._words = None if tag == "section" else self._words
        self._in_title &= tag != "h2"

    def handle_data(self, data: str) -> None:
        if self._words is not None and not self._in_title:
            self._words += data.split()


def sections(html: str, headings: Sequence[tuple[str, str]]) -> list[Section]:
    """What is found on a page that is made elsewhere: the sections with these ids and titles."""
    texts = _Texts()
    texts.feed(html)
    texts.close()
    return [Section(2, id, title, " ".join(texts.of.get(id, ()))) for id, title in headings]


def index(
    outline: Outline,
    rendered: Sequence[tuple[Page, Rendered]],
    addresses: Addresses,
    reference: Sequence[Section],
) -> bytes:
    """The script that hands the index to `search.js`; `reference` is what the API reference consists of.

    What is on the index page is on the others too.
    """
    rendered = [(page, one) for page, one in rendered if page is not outline.home]
    whole = [Section(1, "", REFERENCE.title), *reference]
    rendered.append((REFERENCE, Rendered(REFERENCE.title, "", whole)))
    made = Index(
        pages=[
            (one.title, group.title if (group := outline.group_of(page)) else "", _address(addresses, page))
            for page, one in rendered
        ],
        sections=[
            (number, section.id, section.title, section.text)
            for number, (_, one) in enumerate(rendered)
            for section in one.sections
        ],
    )
    return b"globalThis.documentationIndex = " + msgspec.json.encode(made) + b";\n"


def _address(addresses: Addresses, page: Page) -> str:
    return addresses.page(page.name, "")
