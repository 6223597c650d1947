"""What the footprint of a request is counted from: requests as a gateway posts them, on real servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.footprint.books import LASTING, posted, records
from benchmarks.footprint.choosing import ENGINES, chosen
from benchmarks.footprint.processor import quick
from benchmarks.footprint.questions import asked, counts
from benchmarks.footprint.values import KIND, Books, Results
from benchmarks.runs import RESULTS, newest

from antiphon.ledger.records import Reserve, Settle
from servers import PostgresDatabase, ValkeyServer

COUNT = 2500


def test_records_follow_each_other_and_each_request_ends_once() -> None:
    found = list(records(COUNT))
    assert [record.seq for record in found] == list(range(1, 2 * COUNT + 1))
    open_requests: set[str] = set()
    most = 0
    for record in found:
        if isinstance(record, Reserve):
            assert record.request_id not in open_requests
            open_requests.add(record.request_id)
        else:
            assert isinstance(record, Settle)
            open_requests.remove(record.request_id)
        most = max(most, len(open_requests))
    assert not open_requests and most == LASTING + 1


async def test_what_requests_leave_in_sqlite(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.db"
    found = await posted(f"sqlite+aiosqlite:///{file}", COUNT, None, file)
    check(found)
    assert (found.log, found.server_microseconds, found.sizes) == (0, 0, {})


async def test_what_requests_leave_in_postgresql_and_ask_of_it(
    postgresql: PostgresDatabase, tmp_path: Path
) -> None:
    found = await posted(postgresql.url, COUNT, postgresql, tmp_path)
    check(found)
    rows = {name: size.rows for name, size in found.sizes.items()}
    assert rows == {"request": COUNT, "entry": 3 * COUNT, "usage_rollup": 3 * found.keys}
    assert found.log > found.total > sum(size.heap + size.indexes for size in found.sizes.values()) / 2
    told = await asked(postgresql, tmp_path, 20)
    assert told.new_wait_microseconds > told.known_wait_microseconds > 0
    assert told.new_wait_microseconds > told.new_microseconds > 0


def check(found: Books) -> None:
    # A request and its entries cannot be smaller than their ids.
    assert found.total > COUNT * (36 + 3 * 36)
    assert found.held_ms > found.small_held_ms > 0
    # The accounts, what was spent, what is leased, the rollups and the epoch.
    assert found.held_statements == 5 < found.statements
    assert found.client_microseconds > 0 and found.proof_microseconds > 0


async def test_what_valkey_keeps_and_takes(valkey_server: ValkeyServer) -> None:
    found = await counts(valkey_server, 500)
    assert 0 < found.default_bytes < found.every_bytes
    assert found.every_microseconds > 0


def test_choosing_an_engine_takes_a_while_among_many() -> None:
    found = chosen(20)
    assert found.engines == ENGINES and found.microseconds > 0


@pytest.mark.parametrize(("values", "quickest"), [([3.0], 3.0), ([float(n) for n in range(101)], 10.0)])
def test_the_quickest_tenth(values: list[float], quickest: float) -> None:
    assert quick(values) == quickest


def test_results_are_read_back(tmp_path: Path) -> None:
    found = newest(RESULTS, KIND, Results)
    assert isinstance(found, Results)
    assert newest(tmp_path, KIND, Results) is None
    found.save(tmp_path)
    assert newest(tmp_path, KIND, Results) == found
