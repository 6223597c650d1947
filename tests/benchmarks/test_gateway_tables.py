"""The bars and tables of a run of the gateway benchmarks, and the page that shows them."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from benchmarks.gateway import tables
from benchmarks.gateway.bars import added, bars
from benchmarks.gateway.house import SETTINGS, furnish
from benchmarks.gateway.peers import PEERS
from benchmarks.gateway.stub import MODELS
from benchmarks.gateway.values import (
    ANTIPHON,
    KIND,
    LITELLM,
    SMG,
    UPSTREAM,
    Paced,
    Rate,
    Results,
    Side,
    Turn,
)
from benchmarks.runs import newest
from rich.console import Console

from antiphon.catalogue.catalogue import load
from antiphon.settings import load as load_settings


def a_rate(per_second: float, p50: float = 1.0) -> Rate:
    return Rate(per_second=per_second, p50=p50, p99=2 * p50, microseconds=1e6 / per_second)


def a_side(name: str, requests: float, streams: float, one: float, chunk: float, late: int = 1) -> Side:
    paced = Paced(microseconds=chunk, arrived=1.0, gaps=10_000, late=late, cores=0.5)
    turns = [
        Turn(
            requests=a_rate(requests * factor), one=a_rate(1000.0, one), streams=a_rate(streams),
            paced=paced if name != UPSTREAM else None, held=paced if hold and name != UPSTREAM else None,
            resident_mib=64.0,
        )
        for factor, hold in ((0.5, True), (1.0, False), (1.5, False))
    ]  # fmt: skip
    return Side(name=name, version="1", turns=turns)


def a_run(written: str = "2026-11-26T10:00:00+00:00") -> Results:
    """Every bar is met, each by a little."""
    sides = [
        a_side(UPSTREAM, 15_000, 4_600, 0.2, 0),
        a_side(ANTIPHON, 4_500, 1_500, 1.39, 55),
        a_side(SMG, 4_284, 1_213, 0.5, 44),
        a_side(LITELLM, 33, 10, 20.0, 990),
    ]
    found = Results(
        written=written,
        command="python -m benchmarks.gateway",
        machine={"processor": "A (R) Processor", "cores": 2, "system": "Linux x86_64"},
        versions={},
        plan={"connections": 64, "rounds": 3, "held_streams": 1000, "held_seconds": 30.0},
        commit_ms=0.4,
        sides=sides,
    )
    return msgspec.structs.replace(found, bars=bars(found))


def change(found: Results, name: str, side: Side) -> Results:
    return msgspec.structs.replace(found, sides=[side if one.name == name else one for one in found.sides])


def test_a_run_that_reaches_every_bar() -> None:
    found = a_run()
    assert [bar.name for bar in found.bars if not bar.met] == []
    assert len(found.bars) == 9


@pytest.mark.parametrize(
    ("name", "side", "missed"),
    [
        (ANTIPHON, a_side(ANTIPHON, 3_299, 1_500, 1.39, 55), ["LiteLLM's", "smg's"]),
        (ANTIPHON, a_side(ANTIPHON, 4_500, 1_212, 1.39, 55), ["streams a second to smg's"]),
        (ANTIPHON, a_side(ANTIPHON, 4_500, 1_500, 1.41, 55), ["added for one client"]),
        (ANTIPHON, a_side(ANTIPHON, 4_500, 1_500, 1.39, 61), ["processor time"]),
        (ANTIPHON, a_side(ANTIPHON, 4_500, 1_500, 1.39, 55, late=10), ["gaps"]),
        (UPSTREAM, a_side(UPSTREAM, 13_000, 4_600, 0.2, 0), ["alone"]),
    ],
)
def test_a_run_that_misses_a_bar(name: str, side: Side, missed: list[str]) -> None:
    found = [bar.name for bar in bars(change(a_run(), name, side)) if not bar.met]
    assert len(found) == len(missed)
    assert all(text in bar for text, bar in zip(missed, found, strict=True))


def test_medians_are_over_the_rounds_that_measured() -> None:
    side = a_side(SMG, 100, 10, 1.0, 44)
    side.turns.append(Turn(problems=["streams: no", "streams: no"]))
    assert side.requests_per_second == 100
    assert side.problems == ["streams: no"]
    assert Side(name=SMG, version="1", turns=[]).requests_per_second is None


def test_what_was_not_measured_has_no_bar_but_is_told() -> None:
    broken = Side(name=SMG, version="1", turns=[Turn(problems=["cannot be installed: no network"])])
    found = change(a_run(), SMG, broken)
    assert not any("smg" in bar.name for bar in bars(found))
    problems = tables.problems(found)
    assert problems is not None and problems.rows == [("smg", "cannot be installed: no network")]
    failed = Side(name=ANTIPHON, version="1", turns=[Turn(problems=["held: no chunk"])])
    assert [bar.measured for bar in bars(change(a_run(), ANTIPHON, failed)) if not bar.met] == [
        "held: no chunk"
    ]


def test_what_is_added_is_beyond_the_upstream() -> None:
    found = a_run()
    sides = {side.name: side for side in found.sides}
    assert added(found, sides[SMG]) == pytest.approx(0.3)
    assert added(found, sides[SMG], 99) == pytest.approx(0.6)
    assert added(found, sides[UPSTREAM]) is None


def test_tables() -> None:
    found = a_run()
    console = Console(width=200, record=True, file=io.StringIO())
    tables.show(console, found)
    text = console.export_text()
    assert "4,284" in text and "1,000 streams" not in text and "1000 streams of 10 tokens" in text
    assert "| resident memory | at most 100 MiB | 64 MiB | met |" in tables.block(found, "bars")
    assert tables.block(found, "problems") == ""
    with pytest.raises(KeyError):
        tables.block(found, "nothing")


def test_results_are_read_again(tmp_path: Path) -> None:
    older, newer = a_run(), a_run("2026-11-27T10:00:00+00:00")
    for found in (newer, older):
        found.save(tmp_path)
    assert newest(tmp_path, KIND, Results) == newer and len(list(tmp_path.iterdir())) == 2
    assert newest(tmp_path / "none", KIND, Results) is None


def test_the_house_serves_stubs_and_nothing_else(tmp_path: Path) -> None:
    furnish(tmp_path)
    catalogue = load(tmp_path)
    assert catalogue.served == set(MODELS) and catalogue.missing() == []
    settings = load_settings(environment=SETTINGS | {"ANTIPHON_HOME": str(tmp_path)})
    assert settings.requests_per_minute > 10**6


def test_peers_are_told_where_the_upstream_is(tmp_path: Path) -> None:
    for peer in PEERS:
        words = peer.command(tmp_path / "bin", tmp_path, 1234, 5678)
        files = "".join(path.read_text() for path in tmp_path.iterdir())
        assert "1234" in words and "127.0.0.1:5678" in " ".join(words) + files
