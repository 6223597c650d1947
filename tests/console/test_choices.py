"""What one may choose from: names that are served, with today's prices, and projects that are active."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from antiphon.console.choices import Own, active, instances, names, running
from antiphon.values import Price
from console_service import House
from service import SPEECH, catalogue

SNAPSHOT = "smollm2-135m-instruct-2024-11-01"


def test_names_are_sorted_by_what_they_are(tmp_path: Path) -> None:
    found = names(catalogue(tmp_path), "org_1", "chat")
    assert list(found) == ["Names", "Stand-ins", "Snapshots"]
    [name], [snapshot] = found["Names"], found["Snapshots"]
    assert (name.name, name.snapshot, name.context) == ("gpt-3.5-turbo", SNAPSHOT, 8192)
    assert (name.price.input, name.price.output) == (2_000_000, 2_000_000)
    assert snapshot.name == snapshot.snapshot == SNAPSHOT
    assert "gpt-3.5-turbo-0301" in [one.name for one in found["Stand-ins"]]


def test_a_model_without_a_price_is_free(tmp_path: Path) -> None:
    free = {"snapshots": {"whisper-base-2022-09-21": {"prices": []}}}
    found = names(catalogue(tmp_path, free), "org_1", "speech")
    assert found["Names"][0].price == Price(since=date.min)


def test_kinds_without_names_are_left_out(tmp_path: Path) -> None:
    assert names(catalogue(tmp_path), "org_1", "embedding") == {}
    assert list(names(catalogue(tmp_path), "org_1", "speech")) == ["Names", "Snapshots"]


async def test_projects_that_are_archived_are_not_offered(house: House) -> None:
    projects = house.world.access.projects
    house.world.wall += 1
    other = await projects.create(house.organization.id, "lab", by=None)
    assert [one.name for one in await active(projects, house.organization.id)] == ["shop", "lab"]
    await projects.archive(house.organization.id, other.id, by=None)
    assert [one.name for one in await active(projects, house.organization.id)] == ["shop"]


async def test_instances_that_run_now_stand_for_their_snapshot(house: House) -> None:
    await house.reserve(name="nights", replicas=2)
    house.world.wall += 1
    await house.reserve(name="days", spill_over=True)
    house.world.wall += 1
    await house.reserve(name="later", begins_at=int(house.world.wall) + 3600)
    now = int(house.world.wall)
    found = await instances(house.services.dedicated, house.organization.id)
    assert [one.instance.name for one in found] == ["nights", "days", "later"]
    own = running(found, now)
    assert own == {SPEECH: Own(names="“nights”, “days”", hour=4_500_000_000, spills=True)}
    known = names(house.services.catalogue(), house.organization.id, "speech", own)
    assert {one.own for kind in known.values() for one in kind if one.snapshot == SPEECH} == {own[SPEECH]}
    assert running(found, now - 10) == {}
