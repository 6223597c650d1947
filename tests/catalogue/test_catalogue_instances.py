"""Dedicated instances as they run: when it is their time, and which there are."""

from __future__ import annotations

from functools import partial

import pytest

from antiphon.catalogue.instances import instances
from antiphon.ledger.store import DatabaseStore
from antiphon.storage.database import Database
from antiphon.values import Capacity
from sold import NOW, instance, put


@pytest.mark.parametrize(
    ("begins_at", "ends_at", "runs", "over"),
    [
        (NOW, None, True, False),
        (NOW - 5, NOW + 1, True, False),
        (NOW - 5, NOW, False, True),
        (NOW + 1, None, False, False),
        (NOW + 1, NOW + 5, False, False),
        (NOW + 5, NOW + 5, False, True),  # it was called off
        (NOW, NOW, False, True),
    ],
)
def test_an_instance_runs_from_its_beginning_until_before_its_end(
    begins_at: int, ends_at: int | None, runs: bool, over: bool
) -> None:
    one = instance(begins_at=begins_at, ends_at=ends_at)
    assert (one.runs(NOW), one.over(NOW)) == (runs, over)


def test_what_it_needs_is_of_each_replica() -> None:
    assert instance(cpus=1500, memory=7, gpus=1).needs == Capacity(cpus=1500, memory=7, gpus=1)


async def test_they_are_found_the_oldest_first(database: Database) -> None:
    old = instance(id="b", created_at=1, ends_at=NOW)
    new = instance(id="a", created_at=2, organization_id="org-2")
    same = instance(id="c", created_at=2, ends_at=NOW + 1, spill_over=True)
    await put(database, new, old, same)
    run = DatabaseStore(database).run
    assert await run(instances) == [old, new, same]
    assert await run(partial(instances, after=NOW)) == [new, same]
    assert await run(partial(instances, organization_id="org-1")) == [old, same]
    assert await run(partial(instances, organization_id="org-1", after=NOW + 1)) == []
