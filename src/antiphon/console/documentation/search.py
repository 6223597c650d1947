"""The index that pages are searched by: titles, headings and texts, ranked in the reader's browser."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from antiphon.console.documentation.addresses import Addresses
from antiphon.console.documentation.outline import Outline, Page
from antiphon.console.documentation.rendering import Rendered

FILE = "search-index.js"
"""A script, not JSON: a page that was opened from a disk may load no other file."""


class Index(msgspec.Struct, frozen=True):
    """`pages` are title, group, address (from the index); `sections` the page's number, id, title, text."""

    pages: Sequence[tuple[str, str, str]]
    sections: Sequence[tuple[int, str, str, str]]


def index(outline: Outline, rendered: Sequence[tuple[Page, Rendered]], addresses: Addresses) -> bytes:
    """The script that hands the index to `search.js`. What is on the index page is on the others too."""
    rendered = [(page, one) for page, one in rendered if page is not outline.home]
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
