"""The whole site as files in memory: every page, its images, style sheets, scripts and what is searched."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import jinja2

from antiphon import __version__
from antiphon.api.reference import Contents
from antiphon.console.documentation import code, search
from antiphon.console.documentation.addresses import Addresses
from antiphon.console.documentation.outline import FOLDER, REFERENCE, Outline, Page
from antiphon.console.documentation.rendering import Rendered, Renderer, Section, slug

MISSING = "missing"
"""The page that is shown where there is none."""
_PACKAGE = "antiphon.console.documentation"
_STATIC = ("documentation.css", "documentation.js", "search.js")


def build(outline: Outline, addresses: Addresses, reference: Contents) -> Mapping[str, bytes]:
    """Every file of the site by its name, but the OpenAPI document that `reference` was made of.

    Takes a second or two: never on the event loop.
    """
    renderer = Renderer(outline, addresses)
    rendered = [(page, renderer.render(page)) for page in outline.pages]
    frame = Frame(outline, addresses)
    static = files(_PACKAGE) / "static"
    return {
        **{addresses.key(page.name): frame.page(page, one) for page, one in rendered},
        addresses.key(REFERENCE.name): frame.reference(reference),
        addresses.key(MISSING): frame.missing(),
        **{name: (static / name).read_bytes() for name in _STATIC},
        "icon.svg": (files("antiphon.console") / "static" / "icon.svg").read_bytes(),
        "code.css": code.stylesheet().encode(),
        search.FILE: search.index(
            outline, rendered, addresses, search.sections(reference.html, reference.headings)
        ),
        **{name.removeprefix(f"{FOLDER}/"): (outline.root / name).read_bytes() for name in outline.assets()},
    }


def write(site: Mapping[str, bytes], folder: Path) -> None:
    """Put the files of a site into a folder, over what is there."""
    for name, content in site.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Frame:
    """What stands around the text of every page: navigation, search, the way back and on."""

    def __init__(self, outline: Outline, addresses: Addresses) -> None:
        self._outline = outline
        self._addresses = addresses
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader(_PACKAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters["slug"] = slug
        environment.globals |= {"outline": outline, "addresses": addresses, "reference": REFERENCE}
        environment.globals["version"] = __version__
        self._page, self._home, self._missing = (
            environment.get_template(name) for name in ("page.html", "home.html", "missing.html")
        )

    def page(self, page: Page, rendered: Rendered) -> bytes:
        before, after = self._outline.beside(page)
        template = self._home if page is self._outline.home else self._page
        return template.render(
            page=page,
            group=self._outline.group_of(page),
            title=rendered.title,
            body=rendered.html,
            contents=[one for one in rendered.sections[1:] if one.level in (2, 3)],
            before=before,
            after=after,
            **self._links(page.name),
        ).encode()

    def reference(self, contents: Contents) -> bytes:
        page = REFERENCE
        return self._page.render(
            page=page,
            group=self._outline.group_of(page),
            title=page.title,
            body=contents.html,
            contents=[Section(2, id, title) for id, title in contents.headings],
            **self._links(page.name),
        ).encode()

    def missing(self) -> bytes:
        page = Page("No such page", "", MISSING)
        return self._missing.render(page=page, group=None, title=page.title, **self._links(MISSING)).encode()

    def _links(self, on: str) -> dict[str, object]:
        return {
            "link": lambda page: self._addresses.page(page.name, on),
            "file": lambda name: self._addresses.file(name, on),
            "base": self._addresses.base(on),
            "index": self._addresses.file(search.FILE, on),
        }
