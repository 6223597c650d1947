"""Tables in pages are those of the newest results."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.chat import tables as chat
from benchmarks.gateway import tables as gateway
from benchmarks.scale import tables as scale
from benchmarks.speech import tables as speech
from benchmarks.vllm import tables as vllm

from benchmarks import chaos, fairness, isolation, mixed, overload, pages, pressure, ray

TABLES = {
    "chaos": chaos.BLOCKS,
    "chat": chat.GRIDS,
    "fairness": fairness.BLOCKS,
    "mixed": mixed.BLOCKS,
    "overload": overload.BLOCKS,
    "pressure": pressure.BLOCKS,
    "reliability": {"figures": None},
    "gateway": gateway.GRIDS,
    "isolation": isolation.GRIDS,
    "ray": ray.BLOCKS,
    "scale": scale.GRIDS,
    "speech": {**speech.GRIDS, "headline": None},
    "vllm": {**vllm.GRIDS, "about": None},
}


def test_blocks_are_filled_and_the_rest_is_left() -> None:
    page = "a\n<!-- chat: x -->\nold\n<!-- /chat -->\nb\n<!-- speech: y -->\nkept\n<!-- /speech -->\n"
    found = pages.filled(page, {"chat": lambda name: f"new {name}"})
    assert found == page.replace("old", "new x")
    assert pages.filled(found, {"chat": lambda name: ""}) == page.replace("old\n", "")


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        pages.filled("<!-- chat: x -->\n<!-- /chat -->", {"chat": lambda name: {"y": ""}[name]})


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_the_pages_show_the_newest_results(page: Path) -> None:
    """`python -m benchmarks.pages` mends it."""
    text = page.read_text()
    named = pages.BLOCK.findall(text)
    assert named and all(name in TABLES[kind] for _, kind, name, _ in named)
    assert pages.filled(text, pages.blocks()) == text
