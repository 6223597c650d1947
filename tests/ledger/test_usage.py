"""Pages of usage and costs, on both databases."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from antiphon.errors import InvalidRequest
from antiphon.ledger import usage
from antiphon.ledger.buckets import Page, Query
from antiphon.ledger.posting import post
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.time_charges import bill
from antiphon.storage.database import Database
from instance_rows import ready, sell
from ledger_rows import NOVEMBER, found, fund, reserve, settle

DAY = 86_400
MIDNIGHT = NOVEMBER - DAY // 2


@pytest.fixture
async def store(database: Database) -> DatabaseStore:
    """Three requests of one day, and one of three days later; two of another organization."""
    store = DatabaseStore(database)
    await store.run(found)
    await store.run(fund)
    requests: list[dict[str, Any]] = [
        {},
        {"key_id": "key_2", "member_id": None, "created_at": NOVEMBER + 3600},
        {"snapshot": "speech-1", "task": "speech", "created_at": NOVEMBER + 61},
        {"project_id": "proj_2", "organization_id": "org-1", "created_at": NOVEMBER + 3 * DAY},
    ]
    uses = [(100, 50, 0), (10, 5, 0), (0, 0, 9), (1, 0, 0)]
    for number, (about, use) in enumerate(zip(requests, uses, strict=True)):
        name, seq = f"req_{number}", 2 * number
        await store.run(
            post, "epoch_1", [reserve(seq + 1, name, **about), settle(seq + 2, name, *use)], NOVEMBER
        )
    return store


def query(**changes: Any) -> Query:
    asked = {"organization_id": "org-1", "start": MIDNIGHT, "end": MIDNIGHT + 7 * DAY} | changes
    return Query(**asked)


async def used(store: DatabaseStore, task: str | None = None, **changes: Any) -> Page[usage.UsageResult]:
    return await store.run(usage.usage, query(**changes), task)


async def paid(store: DatabaseStore, **changes: Any) -> Page[usage.CostResult]:
    return await store.run(usage.costs, query(**changes))


def counts(page: Page[usage.UsageResult]) -> dict[int, list[tuple[int, int, int, int]]]:
    """Requests, input, output and seconds by the number of the bucket, where there are any."""
    return {
        number: [(r.requests, r.input_tokens, r.output_tokens, r.seconds) for r in bucket.results]
        for number, bucket in enumerate(page.data)
        if bucket.results
    }


async def test_every_bucket_is_there_and_whole(store: DatabaseStore) -> None:
    page = await used(store)
    assert counts(page) == {0: [(3, 110, 55, 9)], 3: [(1, 1, 0, 0)]}
    assert [(b.start, b.end) for b in page.data] == [
        (MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in range(7)
    ]
    assert page.next_page is None
    result = page.data[0].results[0]
    assert (result.project_id, result.user_id, result.api_key_id, result.model) == (None,) * 4


async def test_a_page_has_so_many_rows_at_most(store: DatabaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.ledger.buckets.MOST_ROWS", 2)
    assert counts(await used(store))
    for page in (used, paid):
        with pytest.raises(InvalidRequest, match="smaller 'limit'.*'group_by'") as refusal:
            await page(store, group_by=("project_id", "model"))
        assert refusal.value.param == "limit"
        assert await page(store, group_by=("project_id",), limit=1)


async def test_what_was_used_first_comes_first(store: DatabaseStore) -> None:
    async def first(group: str, since: int = 0) -> list[str]:
        return await store.run(usage.first_used, "org-1", group, since)

    assert await first("api_key_id") == ["key_1", "key_2"]
    assert await first("project_id") == ["proj_1", "proj_2"]
    assert await first("project_id", MIDNIGHT + 3 * DAY) == ["proj_2"]
    assert await first("user_id") == ["user-1"], "and nobody is none"
    assert await first("model") == ["model-1", "speech-1"]
    assert (await first("line_item"))[:5] == [
        "model-1, input", "model-1, output", "model-1, audio", "model-1, dedicated", "speech-1, input",
    ]  # fmt: skip


async def test_a_range_touches_whole_buckets(store: DatabaseStore) -> None:
    page = await used(store, start=NOVEMBER + 1, end=NOVEMBER + 2)
    assert [(b.start, b.end) for b in page.data] == [(MIDNIGHT, MIDNIGHT + DAY)]
    assert counts(page) == {0: [(3, 110, 55, 9)]}


@pytest.mark.parametrize(
    ("width", "expected"),
    [("1h", {0: [(2, 100, 50, 9)], 1: [(1, 10, 5, 0)]}), ("1m", {0: [(1, 100, 50, 0)], 1: [(1, 0, 0, 9)]})],
)
async def test_buckets_may_be_shorter(store: DatabaseStore, width: str, expected: object) -> None:
    page = await used(store, width=width, start=NOVEMBER)
    assert counts(page) == expected and page.next_page
    assert len(page.data) == {"1h": 24, "1m": 60}[width]


async def test_tasks_are_told_apart(store: DatabaseStore) -> None:
    assert counts(await used(store, "speech")) == {0: [(1, 0, 0, 9)]}
    assert counts(await used(store, "chat")) == {0: [(2, 110, 55, 0)], 3: [(1, 1, 0, 0)]}


@pytest.mark.parametrize(
    ("filters", "requests"),
    [
        ({"project_ids": ("proj_1",)}, 3),
        ({"project_ids": ("proj_1", "proj_2")}, 4),
        ({"user_ids": ("user-1",)}, 3),
        ({"api_key_ids": ("key_2",)}, 1),
        ({"models": ("speech-1",)}, 1),
        ({"models": ("speech-1",), "api_key_ids": ("key_2",)}, 0),
        ({"organization_id": "org-2"}, 0),  # it was never ready
    ],
    ids=str,
)
async def test_filters_leave_what_fits_all_of_them(
    store: DatabaseStore, filters: dict[str, Any], requests: int
) -> None:
    page = await used(store, **filters)
    assert sum(result.requests for bucket in page.data for result in bucket.results) == requests


async def test_groups_are_told_apart_by_what_they_have(store: DatabaseStore) -> None:
    page = await used(store, group_by=("model", "user_id", "project_id", "api_key_id"), limit=1)
    assert {(r.project_id, r.user_id, r.api_key_id, r.model, r.requests) for r in page.data[0].results} == {
        ("proj_1", "user-1", "key_1", "model-1", 1),
        ("proj_1", None, "key_2", "model-1", 1),
        ("proj_1", "user-1", "key_1", "speech-1", 1),
    }


async def test_pages_follow_one_another_without_a_gap(store: DatabaseStore) -> None:
    starts, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = await used(store, limit=3, page=cursor)
        starts += [bucket.start for bucket in page.data]
        cursor, pages = page.next_page, pages + 1
    assert pages == 3 and starts == [MIDNIGHT + n * DAY for n in range(7)]


@pytest.mark.parametrize("page", ["", "page_", "page_MQ", "page_ä", "page_%%%", "page_LTE", "x" * 5000])
async def test_a_page_of_something_else_is_refused(store: DatabaseStore, page: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await used(store, page=page)
    assert refused.value.param == "page"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 32}, "limit"),
        ({"limit": 1441, "width": "1m"}, "limit"),
        ({"start": -1}, "start_time"),
        ({"end": MIDNIGHT}, "end_time"),
    ],
    ids=str,
)
async def test_a_query_that_is_none_names_what_is_wrong(
    store: DatabaseStore, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await used(store, **changes)
    assert refused.value.param == param


async def test_costs_add_up_to_the_nano_dollar(store: DatabaseStore) -> None:
    page = await paid(store, limit=180, end=MIDNIGHT + 180 * DAY)
    assert len(page.data) == 180
    [first] = page.data[0].results
    assert (first.amount, first.line_item, first.quantity) == (110 + 110 + 63, None, None)
    assert sum(r.amount for b in page.data for r in b.results) == 284
    assert usage.dollars(first.amount) == Decimal("0.000000283")


async def test_line_items_say_how_much_of_what(store: DatabaseStore) -> None:
    page = await paid(store, group_by=("line_item", "project_id"))
    found = {(r.line_item, r.amount, r.quantity, r.unit) for r in page.data[0].results}
    assert found == {
        ("model-1, input", 110, 110, "tokens"),
        ("model-1, output", 110, 55, "tokens"),
        ("speech-1, audio", 63, 9, "duration_seconds"),
    }
    assert {r.project_id for r in page.data[0].results} == {"proj_1"}


async def test_costs_can_be_of_some_line_items_alone(store: DatabaseStore) -> None:
    page = await paid(store, line_items=("model-1, output", "speech-1, audio"), group_by=("api_key_id",))
    assert {(r.api_key_id, r.amount) for b in page.data for r in b.results} == {("key_1", 163), ("key_2", 10)}
    page = await paid(store, line_items=("model-1",), models=("model-1",))
    assert not any(bucket.results for bucket in page.data)


async def timed(store: DatabaseStore) -> None:
    """An instance of a nano-dollar a second, from noon until two hours and ten seconds later."""
    await store.run(partial(sell, begins_at=NOVEMBER, ends_at=NOVEMBER + 7210))
    await store.run(partial(sell, begins_at=NOVEMBER), "dedicated_2", "org-2")
    await store.run(ready, "dedicated_1", NOVEMBER + 100, NOVEMBER + 9999)
    await store.run(bill, NOVEMBER + 9999)


async def test_instances_are_among_the_costs(store: DatabaseStore) -> None:
    await timed(store)
    [first] = (await paid(store)).data[0].results
    assert first.amount == 283 + 7210 - 100
    page = await paid(store, group_by=("line_item",))
    found = {r.line_item: (r.amount, r.quantity, r.unit) for r in page.data[0].results}
    assert found["model-1, dedicated"] == (7110, 7210, "duration_seconds")
    assert found["model-1, input"] == (110, 110, "tokens")


async def test_instances_are_told_apart_by_hour_and_model(store: DatabaseStore) -> None:
    await timed(store)
    page = await paid(
        store, width="1h", start=NOVEMBER, end=NOVEMBER + 3 * 3600, group_by=("model", "line_item")
    )
    found = [[r for r in b.results if r.line_item == "model-1, dedicated"] for b in page.data]
    assert [[(r.amount, r.model, r.project_id) for r in results] for results in found] == [
        [(3500, "model-1", None)],
        [(3600, "model-1", None)],
        [(10, "model-1", None)],
    ]


@pytest.mark.parametrize(
    ("filters", "amount"),
    [
        ({"models": ("model-1",)}, 7110),
        ({"models": ("speech-1",)}, 0),
        ({"line_items": ("model-1, dedicated",)}, 7110),
        ({"line_items": ("model-1, input",)}, 0),
        ({"project_ids": ("proj_1",)}, 0),
        ({"user_ids": ("user-1",)}, 0),
        ({"api_key_ids": ("key_1",)}, 0),
        ({"organization_id": "org-2"}, 0),  # it was never ready
    ],
)
async def test_instances_are_of_no_project_or_key(
    store: DatabaseStore, filters: dict[str, Any], amount: int
) -> None:
    await timed(store)
    page = await paid(store, **{"group_by": ("line_item",), **filters})
    results = [r for b in page.data for r in b.results if r.line_item == "model-1, dedicated"]
    assert sum(r.amount for r in results) == amount
