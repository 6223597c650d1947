"""The count of grammars that a pipeline has read."""

from __future__ import annotations

from antiphon.workers.chat.grammars import Grammars


def test_different_ones_are_counted() -> None:
    read = Grammars(many=2, most=3)
    for grammar in ("", "a", "a"):
        read.add(grammar)
    assert not read.many
    read.add("b")
    assert read.many and read.fits("c")
    read.add("c")
    assert not read.fits("d")
    assert read.fits("a") and read.fits("")
