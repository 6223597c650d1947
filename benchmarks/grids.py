"""Tables before they have a form, and bars: the same for the terminal and for the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A goal, and whether it is reached."""

    name: str
    wanted: str
    measured: str
    met: bool


class Grid(msgspec.Struct, frozen=True):
    """A table; the first column is of names, the others of figures."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = [self.columns, ("---", *("---:" for _ in self.columns[1:])), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def show(console: Console, about: str, grids: Iterable[Grid | None]) -> None:
    """A run in the terminal; what it has no table of is left out."""
    console.print(about, highlight=False)
    for grid in grids:
        if grid:
            console.print(grid.rich())


def least(name: str, ratio: float, wanted: float) -> Bar:
    """A ratio that is to be at least so high."""
    return Bar(name=name, wanted=f"at least {wanted:g}x", measured=f"{ratio:.2f}x", met=ratio >= wanted)


def most(name: str, value: float, wanted: float, unit: str, digits: int) -> Bar:
    """A value that is to be at most so high; both are shown with so many digits and the unit."""
    return Bar(
        name=name,
        wanted=f"at most {wanted:.{digits}f} {unit}",
        measured=f"{value:.{digits}f} {unit}",
        met=value <= wanted,
    )


def bars(found: Sequence[Bar]) -> Grid | None:
    rows = [(bar.name, bar.wanted, bar.measured, "met" if bar.met else "missed") for bar in found]
    return Grid("Bars", ("bar", "wanted", "measured", ""), rows) if rows else None


def missed(found: Sequence[Bar]) -> list[str]:
    return [bar.name for bar in found if not bar.met]
