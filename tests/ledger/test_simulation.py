"""The ledger in a seeded world of mishaps. `make soak` runs a hundred times as many requests."""

from __future__ import annotations

import logging

import pytest
from benchmarks.simulation.world import Broken, World

REQUESTS = 2_500


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The mishaps are logged by the thousand."""
    caplog.set_level(logging.CRITICAL + 1, logger="antiphon")


@pytest.mark.parametrize("seed", [1, 3, 4, 5])  # worlds in which every kind of end occurs
def test_no_invariant_breaks(seed: int) -> None:
    counts = World(seed, REQUESTS).run()
    assert counts["settled"] > REQUESTS / 4
    assert counts["voided"] and counts["insufficient quota"] and counts["unavailable"]


def test_a_seed_replays() -> None:
    assert World(7, 300).run() == World(7, 300).run()


def test_a_broken_ledger_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.ledger.posting._charge", lambda *_: None)
    with pytest.raises(Broken, match="seed 3"):
        World(3, 300).run()
