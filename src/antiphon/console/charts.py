"""What plots show: plain values, which `charts.js` draws and the page's table repeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

MOST_SERIES = 8
OTHERS = "all others"
OTHERS_LOOK = -1


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one name; `told` is what is said of each, `beside` what stands beside it, if anything.

    `look` counts the colours that names have: it is the name's own, whatever else is drawn.
    """

    name: str
    look: int
    x: Sequence[str | float]
    y: Sequence[float]
    told: Sequence[str]
    beside: Sequence[str] = ()


class Mark(msgspec.Struct, frozen=True):
    """A line across a plot, at a place of its x axis."""

    x: str | float
    label: str


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A time in a row of its own: from `begin` to `end`, in unix seconds."""

    row: str
    kind: str
    begin: int
    end: int
    told: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One plot. `label` says in a sentence what there is to see, for those who do not see it."""

    kind: Literal["bars", "lines", "spans"]
    title: str
    label: str
    x_title: str = ""
    y_title: str = ""
    prefix: str = ""
    """What stands before a number of the y axis."""
    series: Sequence[Series] = ()
    marks: Sequence[Mark] = ()
    spans: Sequence[Span] = ()

    @property
    def drawn(self) -> object:
        """As JSON has it."""
        return msgspec.to_builtins(self)


def stacked(
    x: Sequence[str],
    found: Iterable[tuple[str, str, int]],
    looks: Mapping[str, int],
    told: Callable[[int], str],
    scale: int = 1,
) -> list[Series]:
    """Series of (place, name, whole number) in the order of their looks; the smallest beyond `MOST_SERIES` as
    one.

    What a bar is high is its number divided by `scale`.
    """
    sums: dict[str, Counter[str]] = {}
    for place, name, value in found:
        sums.setdefault(name, Counter())[place] += value
    ordered = sorted(sums, key=lambda name: (-sums[name].total(), name))
    shown = sorted(ordered[:MOST_SERIES], key=lambda name: looks[name])
    kept: Mapping[str, Counter[str]] = {name: sums[name] for name in shown}
    if rest := ordered[MOST_SERIES:]:
        kept = {**kept, OTHERS: sum((sums[name] for name in rest), Counter())}
    return [
        Series(
            name=name,
            look=looks.get(name, OTHERS_LOOK),
            x=x,
            y=[counts[place] / scale for place in x],
            told=[told(counts[place]) for place in x],
        )
        for name, counts in kept.items()
    ]
