"""What is reserved grows with the context and the load that an organization chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from antiphon.catalogue.entries import Entry
from antiphon.catalogue.reserving import reserved
from antiphon.catalogue.store import ModelStore
from antiphon.settings import Settings
from antiphon.values import Capacity
from pretended import BASE, SMOLLM2, pretend_installed
from service import catalogue

EACH = 1000
OFFER = {"price_per_hour": "1", "bytes_per_token": EACH}


def entry(home: Path, id: str = SMOLLM2, **changes: Any) -> Entry:
    pretend_installed(home, id)
    return catalogue(home, {"snapshots": {id: {"dedicated": OFFER} | changes}}).entries[id]


def sized(home: Path, one: Entry, engine: str, context: int, load: int) -> Capacity:
    return reserved(one, engine, context, load, ModelStore(home), Settings(home=str(home)))


def test_the_cache_of_llama_has_room_for_each_whole_context(tmp_path: Path) -> None:
    one = entry(tmp_path, engine="llama")
    for context, load in ((100, 1), (8192, 32)):
        needs = sized(tmp_path, one, "llama", context, load)
        assert needs == Capacity(cpus=1000, memory=2 * one.size + context * load * EACH)


def test_another_engine_says_how_large_its_cache_is(tmp_path: Path) -> None:
    one = entry(tmp_path, engine=["openvino", "llama"], needs={"memory_mib": 512})
    assert sized(tmp_path, one, "openvino", 1000, 32).memory == 2**29 + 4000 * EACH
    assert sized(tmp_path, one, "llama", 1000, 32).memory == 2**29 + 32_000 * EACH


def test_without_a_figure_the_model_tells(tmp_path: Path, smollm2: Path) -> None:
    one = entry(tmp_path, engine="llama", dedicated={"price_per_hour": "1"})
    place = tmp_path / "models" / SMOLLM2 / one.files[0].name
    place.unlink()
    place.symlink_to(smollm2)
    assert sized(tmp_path, one, "llama", 10, 4).memory == 2 * one.size + 40 * 23_040


@pytest.mark.parametrize(
    ("id", "changes", "context"),
    [(BASE, {}, 0), (SMOLLM2, {"needs": {"gpus": 1}}, 100), (SMOLLM2, {"engine": "vllm"}, 100)],
)
def test_what_has_no_cache_in_memory_takes_what_it_needs(
    tmp_path: Path, id: str, changes: dict[str, Any], context: int
) -> None:
    one = entry(tmp_path, id, **changes)
    assert sized(tmp_path, one, one.engines[0], context, 8) == one.reserved
