"""Usage by minute, hour and day."""

from __future__ import annotations

from sqlalchemy import create_engine

from antiphon.ledger import rollups
from antiphon.ledger.prices import Cost
from antiphon.ledger.requests import Request, reserved
from antiphon.storage import tables
from ledger_rows import NOVEMBER, reserve, rows

MIDNIGHT = NOVEMBER - 12 * 3600


def request(at: int, key: str = "key_1", **counts: int) -> Request:
    made = reserved(reserve(1, created_at=at, key_id=key), "epoch_1", "price_1")
    for name, count in counts.items():
        setattr(made, name, count)
    return made


def test_a_request_counts_in_the_minute_hour_and_day_in_which_it_began() -> None:
    found = rollups.Rollups()
    found.count(request(MIDNIGHT + 3725), Cost(1, 2, 3))
    starts = {row["width"]: row["start"] - MIDNIGHT for row in found.rows.values()}
    assert starts == {60: 3720, 3600: 3600, 86_400: 0}
    for row in found.rows.values():
        assert (row["task"], row["member_id"], row["snapshot"]) == ("chat", "user-1", "model-1")


def test_buckets_begin_at_their_first_second_and_end_before_the_next() -> None:
    found = rollups.Rollups()
    for at in (MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 86_399, MIDNIGHT + 86_400):
        found.count(request(at), Cost())
    days = {row["start"] - MIDNIGHT: row["requests"] for row in found.rows.values() if row["width"] == 86_400}
    assert days == {-86_400: 1, 0: 2, 86_400: 1}


def test_rows_grow_by_what_is_added() -> None:
    engine = create_engine("sqlite://")
    tables.metadata.create_all(engine)
    one = request(NOVEMBER, input_tokens=3, cached_tokens=1, output_tokens=4, seconds=0)
    two = request(NOVEMBER + 1, seconds=5)
    other = request(NOVEMBER, key="key_2")
    with engine.begin() as connection:
        rollups.add(connection, [])
        rollups.add(connection, [(one, Cost(10, 20, 0)), (two, Cost(0, 0, 30))])
        rollups.add(connection, [(one, Cost(1, 2, 0)), (other, Cost())])
        found = [row for row in rows(connection, tables.usage_rollup) if row["width"] == 60]
    engine.dispose()
    assert {row["key_id"]: [row[name] for name in rollups.SUMS] for row in found} == {
        "key_1": [3, 6, 2, 8, 5, 11, 22, 30],
        "key_2": [1, 0, 0, 0, 0, 0, 0, 0],
    }
