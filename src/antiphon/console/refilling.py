"""A page with one of its forms filled in again as it was sent: whichever form that is, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from itertools import accumulate

import msgspec

from antiphon.console.forms import PROOF, Form

_KEPT = ("hidden", "password", "file", "submit")
"""Kinds of inputs that stay as the page has them."""


class _Tag(msgspec.Struct):
    """A start tag from `start` until `end` in the page; the text that follows it ends at `until`."""

    name: str
    attributes: dict[str, str | None]
    start: int
    end: int
    text: str = ""
    until: int = 0

    def value(self) -> str:
        said = self.attributes.get("value")
        return said if said is not None else self.text.strip() if self.name == "option" else "on"

    def written(self) -> str:
        said = (
            name if value is None else f'{name}="{escape(value)}"' for name, value in self.attributes.items()
        )
        return f"<{' '.join([self.name, *said])}>"

    def mark(self, name: str, on: bool) -> None:
        """Let a plain attribute be there, or not."""
        self.attributes.pop(name, None)
        if on:
            self.attributes[name] = None


class _Form(msgspec.Struct):
    """A form, what it is folded into, and its fields, options and buttons in order."""

    tag: _Tag
    around: list[_Tag]
    parts: list[_Tag] = []

    def fits(self, action: str, sent: Form) -> bool:
        """Whether it is the one that was sent there: its hidden fields tell it from others like it."""
        actions = [
            self.tag.attributes.get("action"),
            *(one.attributes.get("formaction") for one in self.parts),
        ]
        hidden = [one for one in self.parts if one.attributes.get("type") == "hidden"]
        named = [(one.attributes.get("name") or "", one.value()) for one in hidden]
        return action in actions and all(value in sent.every(name) for name, value in named if name != PROOF)


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[_Form] = []
        self._form: _Form | None = None
        self._folds: list[_Tag] = []
        self._reading: _Tag | None = None
        self._lines = [0, *accumulate(len(line) + 1 for line in page.split("\n"))]
        self.feed(page)
        self.close()

    def _at(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start = self._at()
        found = _Tag(tag, dict(attrs), start, start + len(self.get_starttag_text() or ""))
        if tag == "details":
            self._folds.append(found)
        elif tag == "form":
            self._form = _Form(found, list(self._folds))
            self.found.append(self._form)
        elif self._form is not None and tag in ("input", "select", "option", "textarea", "button"):
            self._form.parts.append(found)
            self._reading = found if tag in ("option", "textarea") else None

    def handle_data(self, data: str) -> None:
        if self._reading is not None:
            self._reading.text += data

    def handle_endtag(self, tag: str) -> None:
        if self._reading is not None and tag == self._reading.name:
            self._reading.until, self._reading = self._at(), None
        elif tag == "details":
            self._folds.pop()
        elif tag == "form":
            self._form = None


def refilled(page: str, action: str, sent: Form, wrong: str | None = None) -> str:
    """The page, whose form for `action` holds what was `sent`; its field `wrong` is marked.

    Passwords have to be typed again. A page without such a form stays as it is.
    """
    form = next((one for one in _Forms(page).found if one.fits(action, sent)), None)
    if form is None:
        return page
    for fold in form.around:
        fold.mark("open", True)
    edits = [(one.start, one.end, one.written()) for one in form.around]
    edits += _filled(form, sent, wrong)
    for start, end, text in sorted(edits, reverse=True):
        page = page[:start] + text + page[end:]
    return page


def _filled(form: _Form, sent: Form, wrong: str | None) -> Iterator[tuple[int, int, str]]:
    """What stands in place of the tags of a form, and of its long texts."""
    name = ""
    for one in form.parts:
        name = name if one.name == "option" else one.attributes.get("name") or ""
        kind = one.attributes.get("type") or "text"
        if not name or one.name == "button" or kind in _KEPT:
            continue
        if one.name == "option":
            one.mark(
                "selected",
                one.value() in sent.every(name) or (name not in sent and "selected" in one.attributes),
            )
        elif kind in ("checkbox", "radio"):
            one.mark("checked", one.value() in sent.every(name))
        elif one.name == "input" and name in sent:
            one.attributes["value"] = sent.secret(name)
        if name == wrong and one.name != "option":
            one.attributes["aria-invalid"] = "true"
        yield one.start, one.end, one.written()
        if one.name == "textarea" and name in sent:
            yield one.end, one.until, "\n" + escape(sent.secret(name))
