"""A page's Markdown as HTML: headings that can be linked to, links that lead into the site, coloured code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

from antiphon.console.documentation.addresses import Addresses
from antiphon.console.documentation.code import highlighted
from antiphon.console.documentation.outline import FOLDER, Outline, Page, resolved

_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Section(msgspec.Struct):
    """A heading, its level, the id that links name, and the plain text up to the next heading."""

    level: int
    id: str
    title: str
    text: str = ""


class Rendered(msgspec.Struct, frozen=True):
    title: str
    html: str
    sections: Sequence[Section]
    """The first is the page's own, with its title."""


class Renderer:
    """`Addresses` say where pages and files are, so that the same text serves any site."""

    def __init__(self, outline: Outline, addresses: Addresses) -> None:
        self._outline = outline
        self._addresses = addresses
        self._assets = set(outline.assets())
        self._markdown = MarkdownIt("commonmark").enable("table")
        self._markdown.use(anchors_plugin, min_level=1, max_level=6, slug_func=slug)
        for name, rule in _RULES.items():
            self._markdown.add_render_rule(name, rule)

    def render(self, page: Page) -> Rendered:
        tokens = self._markdown.parse(self._outline.text(page))
        for token in tokens:
            _classes(token)
            if token.children:
                token.children = self._linked(token.children, page)
        sections = _sections(tokens, page.title)
        html = self._markdown.renderer.render(tokens, self._markdown.options, {})
        return Rendered(sections[0].title, html, sections)

    def _linked(self, children: Iterable[Token], page: Page) -> list[Token]:
        """The parts of a line with their links rewritten; a link out of the site becomes its text."""
        kept: list[Token] = []
        dropped: list[bool] = []
        for child in children:
            if child.type == "link_open":
                address = self._address(str(child.attrGet("href")), page)
                dropped.append(address is None)
                if address is None:
                    continue
                child.attrSet("href", address)
            elif child.type == "link_close":
                if dropped.pop():
                    continue
            elif child.type == "image":
                child.attrSet("src", self._address(str(child.attrGet("src")), page) or "")
                child.attrSet("loading", "lazy")
            kept.append(child)
        return kept

    def _address(self, link: str, page: Page) -> str | None:
        """Where a link of a page leads in this site, or None if that is not in it."""
        if _ELSEWHERE.match(link) or link.startswith("#"):
            return link
        path, mark, heading = link.partition("#")
        file = resolved(page.file, path)
        if target := self._outline.by_file.get(file):
            return self._addresses.page(target.name, page.name) + mark + heading
        if file in self._assets:
            return self._addresses.file(file.removeprefix(f"{FOLDER}/"), page.name)
        return None


def slug(title: str) -> str:
    """The id of a heading, as GitHub makes it: links on disk and in the site are the same."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _classes(token: Token) -> None:
    """No attribute holds styles: the content security policy takes none."""
    if style := token.attrGet("style"):
        del token.attrs["style"]
        token.attrSet("class", str(style).partition(":")[2])


def _sections(tokens: Sequence[Token], title: str) -> list[Section]:
    found = [Section(1, "", title)]
    for token, before in zip(tokens, [None, *tokens], strict=False):
        if before is not None and before.type == "heading_open":
            heading, level = _plain(token.children or ()), int(before.tag[1])
            if level == 1 and len(found) == 1:
                found[0].title = heading
            else:
                found.append(Section(level, str(before.attrGet("id")), heading))
        elif token.type == "inline":
            found[-1].text += _plain(token.children or ()) + " "
        elif token.type in ("fence", "code_block"):
            found[-1].text += token.content + " "
    for section in found:
        section.text = " ".join(section.text.split())
    return found


def _plain(children: Iterable[Token]) -> str:
    """What is read of a line."""
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in children
        if child.type in ("text", "code_inline", "softbreak", "hardbreak", "image")
    )


def _code(_: Any, tokens: Sequence[Token], at: int, *__: Any) -> str:
    """A block of code. It can be reached by keys, since it may have to be scrolled."""
    token = tokens[at]
    language = (token.info.split() or ["text"])[0]
    code = highlighted(token.content, language)
    block = f'<pre tabindex="0"><code>{code}</code></pre>'
    return f'<div class="code" data-language="{escape(language)}">{block}</div>\n'


def _heading_open(_: Any, tokens: Sequence[Token], at: int, *__: Any) -> str:
    """The link to a heading stands beside it, so that it is no part of its name."""
    token = tokens[at]
    opened = f'<{token.tag} id="{escape(str(token.attrGet("id")))}">'
    return opened if token.tag == "h1" else f'<div class="heading">{opened}'


def _heading_close(_: Any, tokens: Sequence[Token], at: int, *__: Any) -> str:
    opened, title = tokens[at - 2], tokens[at - 1]
    if opened.tag == "h1":
        return "</h1>\n"
    words = escape(_plain(title.children or ()))
    link = f'<a class="anchor" href="#{opened.attrGet("id")}" aria-label="Link to “{words}”">#</a>'
    return f"</{opened.tag}>{link}</div>\n"


def _table_open(*_: Any) -> str:
    return '<div class="scroll" tabindex="0" role="group" aria-label="Table">\n<table>\n'


def _table_close(*_: Any) -> str:
    return "</table>\n</div>\n"


_RULES = {
    "fence": _code,
    "code_block": _code,
    "heading_open": _heading_open,
    "heading_close": _heading_close,
    "table_open": _table_open,
    "table_close": _table_close,
}
