"""Cores that a process may use: those it is bound to, or a container's share of their time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from antiphon.cores import cores
from antiphon.settings import Settings

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", ALLOWED),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("150000 100000\n", min(2, ALLOWED)),
        ("99900000 100000\n", ALLOWED),
        ("nonsense", ALLOWED),
        ("", ALLOWED),
    ],
)
def test_a_quota_bounds_the_cores(tmp_path: Path, quota: str, expected: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert cores(file) == expected


def test_without_a_quota_the_processors_it_is_bound_to_count(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores(tmp_path / "none") == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_setting_goes_before() -> None:
    assert Settings(threads=3).cores == 3
    assert Settings().cores == cores()
