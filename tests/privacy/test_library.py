"""Stored completions over what is kept: found by their project alone, listed in order, changed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from antiphon.errors import InvalidRequest, NotFound
from antiphon.privacy import library
from antiphon.privacy.keeper import keeping
from antiphon.privacy.library import Library
from antiphon.privacy.stored import Which
from antiphon.values import Caller, Observation, Policy
from privacy_house import DAY, House


async def stored(house: House, name: str, model: str = "alias", **fields: Any) -> None:
    asked = msgspec.json.encode({"model": model, "messages": []})
    known = {"stored": True, "completion_id": name, "metadata": {}, "asked": asked}
    await house.keep(house.item(**(known | fields)))


def shelf(house: House) -> Library:
    return Library(house.database, house.content, lambda: house.now)


async def listed(shelf: Library, after: str | None = None, limit: int = 20, **which: Any) -> Any:
    page = await shelf.list("org-1", "proj_1", Which(**which), after=after, limit=limit)
    return [one.id for one in page.found], page.more


async def test_a_project_finds_its_own_until_they_expire(any_house: House) -> None:
    house, books = any_house, shelf(any_house)
    await stored(house, "chatcmpl-1", metadata={"a": "b"})
    await stored(house, "chatcmpl-2", project_id="proj_2")
    await house.keep(house.item())
    found = await books.get("org-1", "proj_1", "chatcmpl-1")
    assert found.metadata == {"a": "b"} and msgspec.json.decode(found.asked)["model"] == "alias"
    assert await listed(books) == (["chatcmpl-1"], False)
    for whose in (("org-1", "proj_1", "chatcmpl-2"), ("org-2", "proj_1", "chatcmpl-1")):
        with pytest.raises(NotFound):
            await books.get(*whose)
    house.now += 30 * DAY
    with pytest.raises(NotFound):
        await books.get("org-1", "proj_1", "chatcmpl-1")
    assert await listed(books) == ([], False)


async def test_they_are_listed_in_pages_in_either_order(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_BATCH", 2)
    books = shelf(house)
    names = [f"chatcmpl-{number}" for number in range(7)]
    for name in names:
        await stored(house, name)
    assert await listed(books, limit=3) == (names[:3], True)
    assert await listed(books, after=names[2], limit=3) == (names[3:6], True)
    assert await listed(books, after=names[5], limit=3) == (names[6:], False)
    assert await listed(books, limit=7) == (names, False)
    assert await listed(books, order="desc", after=names[5], limit=3) == (names[4:1:-1], True)
    with pytest.raises(InvalidRequest) as refusal:
        await listed(books, after="chatcmpl-9")
    assert refusal.value.param == "after"


async def test_they_are_found_by_model_and_metadata(house: House) -> None:
    books = shelf(house)
    await stored(house, "one", metadata={"a": "1", "b": "2"})
    await stored(house, "two", model="tiny", metadata={"a": "1"})
    assert await listed(books, metadata={"a": "1"}) == (["one", "two"], False)
    assert await listed(books, metadata={"a": "1", "b": "2"}) == (["one"], False)
    assert await listed(books, model="alias") == (["one"], False)
    assert await listed(books, model="tiny") == (["one", "two"], False), "the name of the snapshot of both"
    assert await listed(books, model="other") == ([], False)


async def test_a_page_of_large_ones_is_short(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_PAGE_BYTES", 10)
    books = shelf(house)
    for name in ("one", "two"):
        await stored(house, name)
    assert await listed(books) == (["one"], True)
    assert await listed(books, after="one") == (["two"], False)


async def test_what_is_looked_through_is_bounded_and_goes_on_where_it_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_SCANNED", 2)
    books = shelf(house)
    for number in range(5):
        await stored(house, f"chatcmpl-{number}", metadata={"last": str(number == 4)})
    read = 0
    kept_read = house.content.read

    async def counted(rows: Sequence[Any]) -> Any:
        nonlocal read
        read += len(rows)
        return await kept_read(rows)

    monkeypatch.setattr(house.content, "read", counted)
    which, after, pages = Which(metadata={"last": "True"}), None, []
    while True:
        page = await books.list("org-1", "proj_1", which, after=after, limit=20)
        pages.append([one.id for one in page.found])
        if not page.more:
            break
        after = page.last
    assert pages == [[], [], ["chatcmpl-4"]]
    read = 0
    assert await listed(books, limit=1) == (["chatcmpl-0"], True) and read == 2
    monkeypatch.setattr(library, "_SCANNED_BYTES", 1)
    assert await listed(books, metadata={"last": "True"}) == ([], True)


async def test_metadata_is_replaced_and_one_that_is_deleted_is_gone(any_house: House) -> None:
    books = shelf(any_house)
    await stored(any_house, "one", metadata={"a": "1"})
    changed = await books.update_metadata("org-1", "proj_1", "one", {"c": "3"})
    assert changed.metadata == {"c": "3"}
    await books.delete("org-1", "proj_1", "one")
    for again in (books.get, books.delete):
        with pytest.raises(NotFound):
            await again("org-1", "proj_1", "one")


@pytest.mark.fault("the wall clock jumps by an hour")
@pytest.mark.fault("the wall clock saws by a second")
@pytest.mark.parametrize("step", [-3600.0, -1.0])
async def test_they_are_listed_as_they_ended_though_the_clock_is_set_back(house: House, step: float) -> None:
    who = Caller(
        key_id="key_1",
        project_id="proj_1",
        organization_id="org-1",
        organization="default",
        policy=Policy(days=30, stores=True),
    )
    asked = msgspec.json.encode({"model": "alias", "messages": [], "store": True})
    names = [f"chatcmpl-{number}" for number in range(6)]
    async with keeping(house.content, lambda: house.now) as keeper:
        for number, name in enumerate(names):
            house.now += step if number % 2 else 0.5 - step
            durable = keeper.observe(
                Observation(
                    request_id=f"req_{number}",
                    caller=who,
                    kind="chat",
                    snapshot="tiny",
                    asked=asked,
                    answered=msgspec.json.encode({"id": name}),
                    whole=True,
                    began_at=house.now,
                )
            )
            assert durable is not None
            await durable
    books = shelf(house)
    assert (await listed(books, order="asc"))[0] == names
    assert (await listed(books, order="desc"))[0] == names[::-1]
    assert await listed(books, after=names[2], order="asc") == (names[3:], False)


async def test_one_whose_key_is_gone_is_gone_and_the_others_are_listed(house: House) -> None:
    await stored(house, "lost", days=1)
    await stored(house, "there", days=30)
    [lost] = [row for row in await house.rows() if row.completion_id == "lost"]
    await house.keys.destroy([lost.sealed_with])
    assert await listed(shelf(house)) == (["there"], False)
    with pytest.raises(NotFound):
        await shelf(house).get("org-1", "proj_1", "lost")
