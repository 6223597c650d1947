"""Refusals that take longer are told from those that take as long."""

from __future__ import annotations

import random

from benchmarks.foreign import differences, nobodys


def test_it_is_the_part_of_the_median_by_which_they_differ() -> None:
    found = differences({"/a/{}": ([1.1, 1.0, 9.0], [1.0, 0.9, 1.0]), "/b/{}": ([1.0], [2.0])})
    assert found == {"/a/{}": 0.1, "/b/{}": -0.5}


def test_an_id_of_nobody_looks_like_the_one_that_somebody_has() -> None:
    id = "proj_0123456789abcdefghijklmn"
    other = nobodys(id, random.Random(1))
    assert other != id and len(other) == len(id) and other.startswith("proj_0123456789ab")
