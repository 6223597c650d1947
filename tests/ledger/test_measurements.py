"""Measurements are kept whole; one's own counts before another's, the newest before older ones."""

from __future__ import annotations

from functools import partial

from antiphon.ledger.levels import Level, Percentiles
from antiphon.ledger.measurements import Measurement, latest, save
from antiphon.ledger.store import DatabaseStore
from antiphon.storage.database import Database
from ledger_rows import found

LEVEL = Level(
    load=4,
    answered=99,
    failed=1,
    seconds=12.5,
    throughput=1000.25,
    written=250.0,
    prompt_tokens=75.0,
    answer_tokens=25.0,
    first_token=Percentiles(0.1, 0.2, 0.3, None),
    answer=Percentiles(1.0, 2.0, 3.0, None),
)


def made(id: str, organization: str, at: int, snapshot: str = "model-1") -> Measurement:
    return Measurement(
        id=f"measurement_{id}",
        organization_id=organization,
        snapshot=snapshot,
        engine="llama",
        measured_at=at,
        levels=(LEVEL,),
    )


async def test_the_newest_of_ones_own_counts_first(database: Database) -> None:
    store = DatabaseStore(database)
    await store.run(found)
    kept = [
        made("a", "org-1", 5),
        made("b", "org-1", 7),
        made("c", "org-2", 9),
        made("d", "org-2", 8, "other"),
    ]
    for one in kept:
        await store.run(save, one)
    newest = {
        (organization, snapshot): await store.run(partial(latest, snapshot=snapshot), organization)
        for organization in ("org-1", "org-2", "org-3")
        for snapshot in ("model-1", "other", "none")
    }
    assert newest == {
        ("org-1", "model-1"): kept[1],
        ("org-2", "model-1"): kept[2],
        ("org-3", "model-1"): kept[2],
        **{(f"org-{number}", "other"): kept[3] for number in (1, 2, 3)},
        **{(f"org-{number}", "none"): None for number in (1, 2, 3)},
    }
