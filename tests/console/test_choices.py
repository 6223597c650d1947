"""What one may choose from: names that are served, with today's prices, and projects that are active."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from antiphon.console.choices import active, names
from antiphon.values import Price
from console_service import House
from service import catalogue

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
