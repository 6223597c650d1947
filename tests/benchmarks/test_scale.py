"""The arithmetic of docs/scale.md. That the page shows it is seen by `test_pages`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benchmarks.runs import RESULTS
from benchmarks.scale import sizes, tables
from benchmarks.scale.figures import Figures, read
from benchmarks.scale.sizes import Size
from hypothesis import given
from hypothesis import strategies as st

from antiphon import settings
from antiphon.access import authenticator
from antiphon.admission import store
from antiphon.errors import ConfigurationError
from antiphon.storage.database import Database
from antiphon.wire import chat as wire


@pytest.fixture(scope="module")
def figures() -> Figures:
    found = read(RESULTS)
    assert found is not None
    return found


def test_without_results_there_are_no_tables(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    assert tables.newest(tmp_path) is None


def test_figures_are_those_of_the_results(figures: Figures) -> None:
    assert (figures.prompt, figures.answer) == (200, 128)
    assert figures.streamed > figures.answer * figures.chunk > figures.request > 0
    assert 0 < figures.chat_rate < 1000 and figures.real_time > 1


@pytest.mark.parametrize("name", tables.GRIDS)
def test_every_row_has_every_column(figures: Figures, name: str) -> None:
    grid = tables.GRIDS[name](figures)
    assert grid.rows and all(len(row) == len(grid.columns) for row in grid.rows)


def test_what_is_taken_from_the_code_is_so() -> None:
    assert authenticator.REMEMBER_SECONDS == store.REMEMBER_SECONDS
    assert settings.load({"processes": sizes.PROCESSES}, {}).processes == sizes.PROCESSES
    with pytest.raises(ConfigurationError, match="processes"):
        settings.load({"processes": sizes.PROCESSES + 1}, {})


async def test_connections_are_those_of_a_process() -> None:
    async with Database("postgresql://nobody@127.0.0.1/nothing") as database:
        pool: Any = database._engine.pool
        most = pool.size() + pool._max_overflow
        assert (sizes.CONNECTIONS, sizes.PARENT_CONNECTIONS) == (2 * most + 1, most)


def test_several_processes_have_a_parent_on_each_machine(figures: Figures) -> None:
    one, company, internet, _ = sizes.sizes(figures)
    assert sizes.connections(figures, one) == sizes.CONNECTIONS
    for size in (company, internet):
        there = sizes.processes(figures, size)
        machines = -(-there // sizes.PROCESSES)
        assert sizes.connections(figures, size) == 17 * there + 8 * machines > 17 * there


def test_a_chunk_is_one_that_is_sent() -> None:
    assert sizes.chunk_bytes() > len(msgspec.json.encode(wire.ChunkDelta(content=" word")))


def test_a_cell_is_what_one_installation_carries(figures: Figures) -> None:
    *_, internet, cell = sizes.sizes(figures)
    parts = sizes.cells(figures, internet)
    assert cell.peak * parts == pytest.approx(internet.peak)
    assert cell.peak <= sizes.row(figures) < figures.held
    assert cell.peak <= sizes.gateways(figures)
    assert sizes.processes(figures, cell) <= sizes.PROCESSES
    spread = sizes.processes(figures, cell)
    cores = sizes.leased(figures, cell, spread, cell.peak) + sizes.looking_up(figures, cell, cell.peak)
    assert cores < sizes.BUSY * sizes.SERVER_CORES


def test_gateways_are_busy_as_planned(figures: Figures) -> None:
    for size in sizes.sizes(figures):
        number = sizes.processes(figures, size)
        assert size.peak * figures.streamed / number <= sizes.BUSY
        assert number == 1 or size.peak * figures.streamed / (number - 1) > sizes.BUSY


def test_a_key_in_use_has_a_row_for_each_minute_hour_and_day() -> None:
    assert sizes.rollup_rows(Size("busy", 1.0, 1.0, 1, 1)) == pytest.approx(1440 + 24 + 1)


@given(st.floats(1e-3, 1e5), st.integers(1, 10**7))
def test_there_are_never_more_rollups_than_requests_have_widths(rate: float, keys: int) -> None:
    size = Size("any", rate, rate, 1, keys)
    most = min(3 * size.a_day, keys * (1440 + 24 + 1))
    assert 0 < sizes.rollup_rows(size) <= most * (1 + 1e-6)


@given(st.floats(1e-2, 1e5), st.integers(1, 1000))
def test_the_more_processes_the_more_is_leased_and_never_more_than_once(rate: float, spread: int) -> None:
    figures = read(RESULTS)
    assert figures is not None
    size = Size("any", rate, rate, 1000, 1000)
    few, many = (sizes.leased(figures, size, number, rate) for number in (spread, spread + 1))
    assert 0 <= few <= many <= rate * figures.print.asked.new_microseconds / 1e6
    assert sizes.looking_up(figures, size, rate) <= rate * figures.lookup


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.004, "0"), (0.0123, "0.012"), (1.26, "1.3"), (12.6, "13"), (100_000, "100,000")],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert tables.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7, "7"), (36_600, "36.6 thousand"), (8.64e6, "8.64 million"), (3.456e9, "3.46 billion")],
)
def test_counts_are_named(value: float, shown: str) -> None:
    assert tables.count(value) == shown


def test_beats_grow_with_the_square(figures: Figures) -> None:
    assert math.isclose(sizes.beats(figures, 2000), 4 * sizes.beats(figures, 1000))
