"""Code in pages: coloured by classes, whose style sheet is made for light and for dark."""

from __future__ import annotations

from typing import ClassVar

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.style import Style
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Token,
)
from pygments.util import ClassNotFound


class Light(Style):  # type: ignore[misc]  # pygments has no types
    """Each at least 4.5 times as dark as the ground of code, as WCAG asks."""

    styles: ClassVar = {
        Token: "#22262f",
        Comment: "italic #5f6675",
        Keyword: "#8b1a6b",
        Operator: "#5a4a00",
        Punctuation: "#454c5a",
        Name.Function: "#1a4fb4",
        Name.Class: "#1a4fb4",
        Name.Builtin: "#0b6470",
        Name.Tag: "#1a4fb4",
        Name.Attribute: "#0b6470",
        Name.Variable: "#8a4200",
        String: "#176639",
        Number: "#8a4200",
        Literal: "#8a4200",
        Generic.Prompt: "#5f6675",
        Generic.Output: "#454c5a",
    }


class Dark(Style):  # type: ignore[misc]
    styles: ClassVar = {
        Token: "#e3e6ee",
        Comment: "italic #98a1b3",
        Keyword: "#f0a5dc",
        Operator: "#e6cf8b",
        Punctuation: "#b9c0ce",
        Name.Function: "#9fc1ff",
        Name.Class: "#9fc1ff",
        Name.Builtin: "#84d6e0",
        Name.Tag: "#9fc1ff",
        Name.Attribute: "#84d6e0",
        Name.Variable: "#f4bd86",
        String: "#92dba9",
        Number: "#f4bd86",
        Literal: "#f4bd86",
        Generic.Prompt: "#98a1b3",
        Generic.Output: "#b9c0ce",
    }


def highlighted(text: str, language: str) -> str:
    """HTML of code; a language that nobody knows is plain text."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return str(highlight(text, lexer, HtmlFormatter(nowrap=True)))


def stylesheet() -> str:
    """The colours of every class, for light and for dark."""
    light, dark = (_rules(style) for style in (Light, Dark))
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _rules(style: type[Style]) -> str:
    return "\n".join(HtmlFormatter(style=style).get_token_style_defs("pre code"))
