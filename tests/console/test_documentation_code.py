from __future__ import annotations

import re
from typing import Any

import pytest

from antiphon.console.documentation.code import Dark, Light, highlighted, stylesheet


def test_words_are_marked_by_classes_and_never_by_styles() -> None:
    html = highlighted('import os  # "<b>"\n', "python")
    assert '<span class="kn">import</span>' in html and "&lt;b&gt;" in html
    assert "style=" not in html and "<b>" not in html


def test_an_unknown_language_is_plain_text() -> None:
    assert highlighted("a < b\n", "nobody-knows") == "a &lt; b\n"


def test_there_are_colours_for_light_and_for_dark() -> None:
    light, _, dark = stylesheet().partition("@media (prefers-color-scheme: dark)")
    assert "pre code .kn" in light and "pre code .kn" in dark and light != dark
    assert "background" not in stylesheet()


@pytest.mark.parametrize(("style", "ground"), [(Light, "#f5f6fa"), (Dark, "#191e29")])
def test_every_colour_can_be_read_on_the_ground_of_code(style: Any, ground: str) -> None:
    colours = {values["color"] for _, values in style if values["color"]}
    assert len(colours) > 4
    assert {colour for colour in colours if contrast(f"#{colour}", ground) < 4.5} == set()


def contrast(one: str, other: str) -> float:
    """As WCAG 2 computes it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part, 16) / 255 for part in re.findall("..", colour[1:])]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
