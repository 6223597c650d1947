"""How snapshots are launched, and dedicated instances of them."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from antiphon import engines
from antiphon.catalogue import choices, launching
from antiphon.catalogue.catalogue import Catalogue
from antiphon.catalogue.entries import Entry
from antiphon.catalogue.store import ModelStore
from antiphon.settings import Settings
from antiphon.values import Capacity, Deployment
from fake_engine import kind
from pretended import SMOLLM2, pretend_installed
from sold import instance

ONE = instance(snapshot=SMOLLM2, engine="full", context=100, load=5, spill_over=True)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A snapshot with a fast engine that can do little, and one that can do all."""
    kinds = {"fast": kind(name="fast"), "full": kind(name="full", features=["seed"])}
    monkeypatch.setattr(engines, "kinds", lambda: kinds)
    shipped: Catalogue = pretend_installed(tmp_path, SMOLLM2)
    return msgspec.structs.replace(shipped.entries[SMOLLM2], engine=("fast", "full"), slots=7)


def launched(home: Path, entry: Entry, one: object = ONE) -> Deployment | None:
    return launching.dedicated(entry, one, ModelStore(home), Settings(home=str(home)))  # type: ignore[arg-type]


def test_a_snapshot_has_a_deployment_for_each_engine(tmp_path: Path, entry: Entry) -> None:
    found = launching.deployments(entry, ModelStore(tmp_path), Settings(home=str(tmp_path)))
    assert [(one.name, one.engine, one.on_demand, one.slots) for one in found] == [
        (SMOLLM2, "fast", False, 7),
        (f"{SMOLLM2}@full", "full", True, 7),
    ]
    assert {(one.instance, one.organization, one.context) for one in found} == {("", "", 8192)}
    assert found[0].options["cache_tokens"] == 65536


def test_an_instance_is_launched_by_its_engine_at_its_own_size(tmp_path: Path, entry: Entry) -> None:
    found = launched(tmp_path, entry)
    assert found is not None
    assert (found.name, found.engine) == (f"{SMOLLM2}@dedicated_1", "full")
    assert (found.instance, found.organization, found.spill_over) == ("dedicated_1", "org-1", True)
    assert (found.context, found.slots, found.replicas, found.most_replicas) == (100, 5, 2, 2)
    assert found.needs == Capacity(cpus=1000, memory=2**30)
    assert not found.on_demand and not found.alternative
    assert "cache_tokens" not in found.options and found.options["template"] == "smollm2"


def test_an_engine_that_is_gone_is_replaced_by_the_preferred_one(tmp_path: Path, entry: Entry) -> None:
    found = launched(tmp_path, entry, msgspec.structs.replace(ONE, engine="none"))
    assert found is not None and found.engine == "fast"


def test_an_instance_that_no_engine_can_serve_is_left_out_and_told(
    tmp_path: Path, entry: Entry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    absent = {name: kind(name=name, absent="is not installed") for name in ("fast", "full")}
    monkeypatch.setattr(choices.engines, "kinds", lambda: absent)
    with caplog.at_level(logging.ERROR):
        assert launched(tmp_path, entry) is None
    assert "dedicated_1 cannot run: No engine can serve" in caplog.text


def test_an_instance_of_another_context_is_another_engine(tmp_path: Path, entry: Entry) -> None:
    digests = {
        found.digest
        for context in (100, 200)
        if (found := launched(tmp_path, entry, msgspec.structs.replace(ONE, context=context)))
    }
    assert len(digests) == 2
