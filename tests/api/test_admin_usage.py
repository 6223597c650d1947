"""Usage and costs through the API."""

from __future__ import annotations

from typing import Any

import pytest

from admin_service import ORGANIZATION, House
from antiphon.api.admin.usage import OTHERS
from service import SPEECH

DAY = 1_793_491_200
"""1 November 2026, 0:00 UTC."""
COMPLETIONS = f"{ORGANIZATION}/usage/completions"
TRANSCRIPTIONS = f"{ORGANIZATION}/usage/audio_transcriptions"
COSTS = f"{ORGANIZATION}/costs"


def results(page: Any) -> list[Any]:
    return [result for bucket in page["data"] for result in bucket["results"]]


async def test_completions(house: House) -> None:
    await house.use(DAY + 60, input_tokens=10, cached_tokens=3, output_tokens=5)
    await house.use(DAY + 90_000, input_tokens=1, key_id="key_2", requests=2)
    page = await house.get(f"{COMPLETIONS}?start_time={DAY}&end_time={DAY + 3 * 86_400}")
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    assert [bucket["object"] for bucket in page["data"]] == ["bucket"] * 3
    assert [bucket["start_time"] for bucket in page["data"]] == [DAY, DAY + 86_400, DAY + 2 * 86_400]
    assert page["data"][2]["results"] == []
    assert results(page)[0] == {
        "object": "organization.usage.completions.result",
        "input_tokens": 10,
        "output_tokens": 5,
        "input_cached_tokens": 3,
        "num_model_requests": 1,
        **dict.fromkeys(("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")),
    }
    assert results(page)[1]["num_model_requests"] == 2


async def test_usage_is_grouped_and_filtered(house: House) -> None:
    await house.use(DAY, input_tokens=1, member_id="user-1")
    await house.use(DAY, input_tokens=2, key_id="key_2", snapshot="chat-2")
    base = f"{COMPLETIONS}?start_time={DAY}&end_time={DAY + 86_400}"
    groups = "&".join(
        f"group_by[]={name}"
        for name in ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier")
    )
    found = {result["api_key_id"]: result for result in results(await house.get(f"{base}&{groups}"))}
    one, two = found["key_1"], found["key_2"]
    assert (one["project_id"], one["user_id"], one["model"]) == (house.project.id, "user-1", "chat-1")
    assert (two["user_id"], two["model"], two["batch"], two["service_tier"]) == (
        None,
        "chat-2",
        False,
        "default",
    )
    bare = results(await house.get(f"{base}&group_by=model"))
    assert sorted((result["model"], result["input_tokens"]) for result in bare) == [
        ("chat-1", 1),
        ("chat-2", 2),
    ]
    for chosen, tokens in (
        ("models[]=chat-2", [2]),
        ("api_key_ids=key_1", [1]),
        ("user_ids[]=user-1", [1]),
        (f"project_ids[]={house.project.id}", [3]),
        ("project_ids[]=proj_none", []),
        ("batch=false", [3]),
        ("batch=true", []),
    ):
        found_tokens = [result["input_tokens"] for result in results(await house.get(f"{base}&{chosen}"))]
        assert found_tokens == tokens, chosen


async def test_embeddings(house: House) -> None:
    await house.use(DAY, task="embedding", input_tokens=12, snapshot="embedding-1", requests=3)
    await house.use(DAY, task="embedding", input_tokens=5, snapshot="embedding-2")
    await house.use(DAY, input_tokens=1)
    base = f"{ORGANIZATION}/usage/embeddings?start_time={DAY}&end_time={DAY + 86_400}"
    [both] = results(await house.get(base))
    assert both == {
        "object": "organization.usage.embeddings.result",
        "input_tokens": 17,
        "num_model_requests": 4,
        **dict.fromkeys(("project_id", "user_id", "api_key_id", "model")),
    }
    [one] = results(await house.get(f"{base}&group_by=model&models=embedding-2"))
    assert (one["model"], one["input_tokens"]) == ("embedding-2", 5)
    [chats] = results(await house.get(f"{COMPLETIONS}?start_time={DAY}&end_time={DAY + 86_400}"))
    assert chats["input_tokens"] == 1


async def test_transcriptions(house: House) -> None:
    await house.use(DAY, task="speech", seconds=9)
    await house.use(DAY, input_tokens=1)
    page = await house.get(
        f"{TRANSCRIPTIONS}?start_time={DAY}&end_time={DAY + 60}&bucket_width=1m&group_by=model"
    )
    assert results(page) == [
        {
            "object": "organization.usage.audio_transcriptions.result",
            "seconds": 9,
            "num_model_requests": 1,
            "project_id": None,
            "user_id": None,
            "api_key_id": None,
            "model": SPEECH,
        }
    ]


async def test_usage_comes_in_pages(house: House) -> None:
    await house.use(DAY + 3600, input_tokens=1)
    query = f"{COMPLETIONS}?start_time={DAY}&end_time={DAY + 3 * 3600}&bucket_width=1h&limit=2"
    first = await house.get(query)
    assert (first["has_more"], len(first["data"])) == (True, 2)
    rest = await house.get(f"{query}&page={first['next_page']}")
    assert (rest["has_more"], [bucket["start_time"] for bucket in rest["data"]]) == (False, [DAY + 7200])


async def test_without_an_end_it_is_until_now(house: House) -> None:
    house.world.wall = float(DAY + 100)
    page = await house.get(f"{COMPLETIONS}?start_time={DAY}&bucket_width=1m")
    assert len(page["data"]) == 2
    assert len((await house.get(f"{COMPLETIONS}?start_time={DAY + 9_000_000}"))["data"]) == 1


async def test_costs_are_exact(house: House) -> None:
    await house.use(DAY, input_tokens=10, output_tokens=5, input_cost=9_007_199_254_740_993, output_cost=7)
    await house.use(DAY, task="speech", seconds=3, audio_cost=300_000)
    query = f"{COSTS}?start_time={DAY}&end_time={DAY + 86_400}"
    _, headers, text = await house.service.call(
        "GET", query, headers={"authorization": f"Bearer {house.owner}", "accept-encoding": "identity"}
    )
    [total] = results(text)
    assert total["amount"]["currency"] == "usd" and total["quantity"] is total["line_item"] is None
    assert total["amount"]["value"] == float("9007199.255041000")
    items = results(await house.get(f"{query}&group_by[]=line_item&group_by[]=project_id"))
    assert {(item["line_item"], item["quantity"], item["quantity_unit"]) for item in items} == {
        ("chat-1, input", 10, "tokens"),
        ("chat-1, output", 5, "tokens"),
        (f"{SPEECH}, audio", 3, "duration_seconds"),
    }
    assert {item["project_id"] for item in items} == {house.project.id}
    [output] = results(await house.get(f"{query}&line_items[]=chat-1,%20output"))
    assert output["amount"] == {"value": 7e-9, "currency": "usd"}


@pytest.mark.parametrize(
    "query, wrong",
    [
        (f"{COMPLETIONS}", (400, "missing_required_parameter", "start_time")),
        (f"{COMPLETIONS}?start_time=soon", (400, "invalid_type", "start_time")),
        (f"{COMPLETIONS}?start_time=99999999999999", (400, "invalid_value", "start_time")),
        (f"{COMPLETIONS}?start_time={DAY}&end_time={DAY}", (400, None, "end_time")),
        (f"{COMPLETIONS}?start_time={DAY}&bucket_width=1w", (400, "invalid_value", "bucket_width")),
        (f"{COMPLETIONS}?start_time={DAY}&limit=32", (400, None, "limit")),
        (f"{COMPLETIONS}?start_time={DAY}&page=page_x", (400, None, "page")),
        (f"{COMPLETIONS}?start_time={DAY}&group_by=line_item", (400, "invalid_value", "group_by[0]")),
        (f"{TRANSCRIPTIONS}?start_time={DAY}&batch=true", (400, "unknown_parameter", "batch")),
        (f"{COSTS}?start_time={DAY}&bucket_width=1h", (400, "invalid_value", "bucket_width")),
        (f"{COSTS}?start_time={DAY}&limit=181", (400, None, "limit")),
        (f"{ORGANIZATION}/usage/none?start_time={DAY}", (404, "unknown_url", None)),
    ],
)
async def test_what_is_wrongly_asked(house: House, query: str, wrong: tuple[int, str | None, str]) -> None:
    assert await house.refused("GET", query) == wrong


async def test_what_nobody_can_use_has_empty_pages(house: House) -> None:
    for kind in OTHERS:
        query = f"start_time={DAY}&end_time={DAY + 2 * 86_400}&limit=1"
        page = await house.get(f"{ORGANIZATION}/usage/{kind}?{query}")
        assert page["has_more"] and page["data"] == [
            {"object": "bucket", "start_time": DAY, "end_time": DAY + 86_400, "results": []}
        ]
