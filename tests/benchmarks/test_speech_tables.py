"""The tables and bars of a run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from benchmarks.grids import missed
from benchmarks.speech import tables
from benchmarks.speech.accuracy import OTHERS
from benchmarks.speech.bars import bars
from benchmarks.speech.long import ENGLISH, HOUR, MIXED
from benchmarks.speech.values import (
    ANTIPHON,
    BATCHED,
    MINIMAL,
    WHISPER,
    Difference,
    ErrorRates,
    Facts,
    Fair,
    LongPass,
    Pace,
    Results,
    Short,
    by_beam,
    newest,
)
from rich.console import Console


def a_pass(recording: str, side: str, seconds: float, real_time_factor: float) -> LongPass:
    return LongPass(
        recording=recording, side=side, seconds=seconds, real_time_factor=real_time_factor,
        error_rate=7.0, substituted=3, missing=2, added=1, first=1.25, peak_mib=512.0,
    )  # fmt: skip


def a_rate(group: str, ours: float, theirs: float) -> ErrorRates:
    return ErrorRates(group=group, clients=1, clips=9, ours=ours, theirs=theirs, low=-1.0, high=1.5)


def a_run(written: str = "2026-11-26T10:00:00+00:00", beam: int = 5) -> Results:
    """Every bar is met, each by a little."""
    factors = {ANTIPHON: (15.0, 25.0), WHISPER: (4.9, 6.0), BATCHED: (4.0, 5.0), MINIMAL: (4.8, 4.9)}
    found = Results(
        written=written,
        command="python -m benchmarks.speech",
        machine={"processor": "A (R) Processor", "cores": 2, "system": "Linux x86_64"},
        versions={"faster-whisper": "1.2.1"},
        facts=Facts(model="whisper-base", threads=2, beam=beam, workers=2),
        short=Short(
            clips=9,
            seconds=80.0,
            pace=[
                Pace(side=side, clients=clients, real_time_factor=factor, p50=0.4, p95=0.9)
                for index, clients in enumerate((1, 16))
                for side, factor in ((side, pair[index]) for side, pair in factors.items())
            ],
            clip_seconds=5.3,
            clip_p50={ANTIPHON: 0.3, WHISPER: 0.9, BATCHED: 1.0, MINIMAL: 1.1},
            errors=[a_rate("en", 5.4, 5.0), a_rate("de", 20.0, 21.0), a_rate(OTHERS, 21.0, 20.1)],
            differing=[Difference("a.ogg", "", "a|b")],
        ),
        long=[
            a_pass(ENGLISH, ANTIPHON, 480.0, 20.0),
            a_pass(ENGLISH, BATCHED, 480.0, 9.0),
            a_pass(ENGLISH, WHISPER, 480.0, 5.0),
            a_pass(MIXED, ANTIPHON, 480.0, 2.0),
            a_pass(HOUR, ANTIPHON, 3590.0, 20.0),
            a_pass(HOUR, BATCHED, 3590.0, 10.0),
        ],
        fair=Fair(
            clip_seconds=3.0,
            long_seconds=3590.0,
            idle=[0.2] * 40,
            loaded=[0.4] * 90 + [0.7] * 10,
            real_time_factor=18.0,
        ),
    )
    return msgspec.structs.replace(found, bars=bars(found))


def worse(found: Results, **changes: object) -> set[str]:
    """The bars that are missed once a part is changed."""
    return set(missed(bars(msgspec.structs.replace(found, **changes))))


def test_a_good_run_misses_nothing() -> None:
    found = a_run()
    assert missed(found.bars) == []
    # 3 of throughput, 1 of latency, 2 of words; 2 of throughput, first text, memory; 1 of fairness.
    assert len(found.bars) == 3 + 1 + 2 + 2 + 2 + 1


def test_a_bar_of_clips_is_missed() -> None:
    found = a_run()
    assert found.short is not None
    slow = [
        msgspec.structs.replace(one, real_time_factor=14.0) if one.side == ANTIPHON else one
        for one in found.short.pace
    ]
    assert worse(found, short=msgspec.structs.replace(found.short, pace=slow)) == {
        f"clips, 1 client, throughput to {WHISPER}'s",
        f"clips, 16 clients, throughput to {WHISPER}'s",
        f"clips, 16 clients, throughput to {MINIMAL}'s",
    }
    late = found.short.clip_p50 | {ANTIPHON: 0.4}
    assert len(worse(found, short=msgspec.structs.replace(found.short, clip_p50=late))) == 1
    wrong = [a_rate("en", 5.6, 5.0), a_rate("de", 30.0, 20.0), a_rate(OTHERS, 21.2, 20.0)]
    assert worse(found, short=msgspec.structs.replace(found.short, errors=wrong)) == {
        f"word error rate, English, 1 client, less {WHISPER}'s",
        f"word error rate, other languages, 1 client, less {WHISPER}'s",
    }


def test_a_bar_of_long_recordings_is_missed() -> None:
    found = a_run()
    assert found.long is not None
    slow = [msgspec.structs.replace(one, first=2.1, peak_mib=601.0) for one in found.long]
    assert worse(found, long=slow) == {"60 min, first text", "60 min, memory of the engine"}
    batched = [a_pass(one.recording, one.side, one.seconds, 10.1) for one in found.long]
    assert len(worse(found, long=batched)) == 2


def test_the_bar_of_fairness_is_missed() -> None:
    found = a_run()
    assert found.fair is not None
    late = msgspec.structs.replace(found.fair, loaded=[0.81] * 20)
    assert worse(found, fair=late) == {"a clip of 3.0 s behind 60 min, p95"}


def test_parts_that_were_not_measured_have_no_tables() -> None:
    found = msgspec.structs.replace(a_run(), short=None, long=None, fair=None)
    found = msgspec.structs.replace(found, bars=bars(found))
    assert found.bars == [] and tables.shown(found, tuple(tables.GRIDS)) == []
    assert tables.headline(found) is None


def test_every_table_has_one_cell_for_each_column() -> None:
    grids = tables.shown(a_run(), tuple(tables.GRIDS))
    assert len(grids) == len(tables.GRIDS)
    for grid in grids:
        assert grid.rows and {len(row) for row in grid.rows} == {len(grid.columns)}


def test_ratios_stand_beside_the_other_sides() -> None:
    [grid] = tables.shown(a_run(), ("clips",))
    assert [row[:4] for row in grid.rows[:2]] == [
        (ANTIPHON, "1", "15.0", ""), (WHISPER, "1", "4.9", "3.06x"),
    ]  # fmt: skip


def test_markdown_keeps_what_is_a_column() -> None:
    [grid] = tables.shown(a_run(), ("differing",))
    assert grid.markdown().splitlines() == [
        "| clip | Antiphon | faster-whisper |",
        "| --- | ---: | ---: |",
        "| a.ogg | – | a\\|b |",
    ]


def test_the_terminal_shows_the_bars() -> None:
    console = Console(record=True, width=200, file=open("/dev/null", "w"))
    with console.file:
        tables.show(console, a_run())
    text = console.export_text()
    assert "beam 5" in text and "met" in text and "missed" not in text


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = a_run()
    assert found.save(tmp_path / "results").name == "speech-2026-11-26-a-r-processor-2-cores-beam5.json"
    (tmp_path / "results" / "2026-11-24-chat.json").write_text("{}")
    assert newest(tmp_path / "results") == [found]
    assert newest(tmp_path / "nothing") == []


def test_the_newest_of_each_beam_counts_the_widest_first() -> None:
    runs = [
        a_run("2026-11-26T10:00:00+00:00"),
        a_run("2026-11-27T09:00:00+00:00"),
        a_run("2026-11-28T10:00:00+00:00", beam=1),
    ]
    assert by_beam(runs[::-1]) == [runs[1], runs[2]]


def test_blocks_of_pages() -> None:
    found = [a_run(), a_run(beam=1)]
    assert tables.block(found, "bars").startswith("Beam 5, ")
    assert tables.block(found, "bars").count("| bar | wanted |") == 2
    assert tables.block(found, "headline").count("| Speech, Whisper base |") == 1
    with pytest.raises(KeyError):
        tables.block(found, "nothing")
