from __future__ import annotations

import os
from pathlib import Path

import pytest

from antiphon.workers.speech.isa import VARIABLE, choose, flags

NEEDED = "avx512f avx512cd avx512dq avx512bw avx512vl"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")  # So that it is as before afterwards.
    monkeypatch.delenv(VARIABLE)


def cpuinfo(folder: Path, features: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(
        f"processor\t: 0\nflags\t\t: fpu {features}\nvmx flags\t: ept\n\nprocessor\t: 1\nflags\t\t: x\n"
    )
    return path


def test_avx512_is_chosen_where_all_of_it_is_there(tmp_path: Path) -> None:
    choose(cpuinfo(tmp_path, f"avx2 {NEEDED} avx512_vnni"))
    assert os.environ[VARIABLE] == "AVX512"


@pytest.mark.parametrize("missing", NEEDED.split())
def test_a_processor_without_a_part_of_it_is_left_alone(tmp_path: Path, missing: str) -> None:
    choose(cpuinfo(tmp_path, NEEDED.replace(missing, "avx2")))
    assert VARIABLE not in os.environ


def test_what_the_operator_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "AVX2")
    choose(cpuinfo(tmp_path, NEEDED))
    assert os.environ[VARIABLE] == "AVX2"


def test_a_system_that_does_not_tell_has_no_features(tmp_path: Path) -> None:
    assert flags(tmp_path / "nothing") == frozenset()
    arm = tmp_path / "arm"
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert flags(arm) == frozenset()
    choose(tmp_path / "nothing")
    choose(arm)
    assert VARIABLE not in os.environ


def test_the_first_processor_speaks_for_all(tmp_path: Path) -> None:
    assert flags(cpuinfo(tmp_path, "avx2 sse4_2")) == {"fpu", "avx2", "sse4_2"}
