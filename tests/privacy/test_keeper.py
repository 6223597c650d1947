"""The keeper takes what its policy allows, in batches and within bounds, and says what it could not keep."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from antiphon.errors import StorageFull, Unavailable
from antiphon.privacy import keeper as module
from antiphon.privacy.content import Item
from antiphon.privacy.keeper import Keeper, keeping
from antiphon.privacy.places import FOLDER
from antiphon.storage.content_tables import content_key
from antiphon.values import Caller, Observation, Policy
from privacy_house import DAY, House

CANARY = "canary-51ab"
STORE = {"messages": [{"role": "user", "content": CANARY}], "store": True, "metadata": {"a": "b"}}


def caller(days: int = 30, stores: bool = True, organization: str = "org-1") -> Caller:
    return Caller(
        key_id="key_1",
        project_id="proj_1",
        organization_id=organization,
        organization="default",
        policy=Policy(days=days, stores=stores),
    )


def seen(house: House, who: Caller | None = None, asked: Any = CANARY, **fields: Any) -> Observation:
    known: dict[str, Any] = {
        "request_id": f"req_{id(fields)}",
        "caller": who or caller(),
        "kind": "chat",
        "snapshot": "tiny",
        "asked": asked if isinstance(asked, bytes) else json.dumps(asked).encode(),
        "answered": json.dumps({"id": "chatcmpl-1", "text": CANARY}).encode(),
        "whole": True,
        "began_at": house.now,
    }
    return Observation(**(known | fields))


async def test_what_waits_is_written_together(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    keep = house.content.keep

    async def counted(items: list[Item]) -> None:
        batches.append(len(items))
        await keep(items)

    monkeypatch.setattr(house.content, "keep", counted)
    async with keeping(house.content, lambda: house.now) as keeper:
        for _ in range(100):
            assert keeper.observe(seen(house)) is None
        assert keeper.waiting == 100
    assert batches == [100] and keeper.waiting == 0 and keeper.dropped.total() == 0
    kept = await house.content.find("org-1", house.now)
    assert len(kept) == 100
    row = kept[0].row
    assert (row.project_id, row.key_id, row.kind, row.snapshot, row.whole) == (
        "proj_1",
        "key_1",
        "chat",
        "tiny",
        True,
    )
    assert row.expires_at == row.created_at + 30 * DAY and CANARY.encode() in kept[0].answered


async def test_a_policy_of_zero_days_writes_nothing(house: House, tmp_path: Path) -> None:
    strict = caller(days=0, stores=False)
    upload = tmp_path / "upload"
    upload.write_bytes(b"sound")
    async with keeping(house.content, lambda: house.now) as keeper:
        assert not keeper.wants(strict)
        assert keeper.observe(seen(house, strict, STORE, recording=upload)) is None
        # One that may store keeps what is to be stored, and nothing else.
        assert keeper.wants(caller(days=0))
        assert keeper.observe(seen(house, caller(days=0))) is None
        assert keeper.observe(seen(house, caller(days=0), STORE, whole=False)) is None
        assert keeper.waiting == 0
    assert await house.rows() == [] and await house.secrets() == {}
    assert [name for name in os.listdir(tmp_path) if name.startswith(("upload", "keep"))] == ["upload"]


@pytest.mark.parametrize("days", [0, 7, 30])
async def test_a_stored_completion_is_durable_before_its_answer_ends(house: House, days: int) -> None:
    async with keeping(house.content, lambda: house.now) as keeper:
        promise = keeper.observe(seen(house, caller(days), STORE))
        assert promise is not None
        await asyncio.wait_for(promise, 10)
        [kept] = await house.content.find("org-1", house.now)
        assert kept.row.stored and kept.row.completion_id == "chatcmpl-1" and kept.metadata == {"a": "b"}
        assert kept.row.expires_at == kept.row.created_at + (days or 30) * DAY


@pytest.mark.parametrize(
    ("who", "asked", "fields"),
    [
        (caller(stores=False), STORE, {}),
        (caller(), STORE | {"store": False}, {}),
        (caller(), STORE | {"store": None}, {}),
        (caller(), {"messages": [{"role": "user", "content": '"store": true'}]}, {}),
        (caller(), STORE, {"kind": "completion"}),
        (caller(), STORE, {"whole": False}),
    ],
)
async def test_others_are_kept_but_not_stored(
    house: House, who: Caller, asked: dict[str, Any], fields: dict[str, Any]
) -> None:
    async with keeping(house.content, lambda: house.now) as keeper:
        assert keeper.observe(seen(house, who, asked, **fields)) is None
    [kept] = await house.content.find("org-1", house.now)
    assert not kept.row.stored and kept.metadata is None and kept.row.completion_id is None


async def test_a_name_may_be_spelled_with_escapes(house: House) -> None:
    async with keeping(house.content, lambda: house.now) as keeper:
        assert keeper.observe(seen(house, asked=b'{"s\\u0074ore": true}')) is not None


async def test_a_recording_is_kept_though_its_upload_is_removed_at_once(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    upload = folder / "upload"
    upload.write_bytes(CANARY.encode() * 20_000)
    async with keeping(house.content, lambda: house.now) as keeper:
        keeper.observe(seen(house, kind="transcription", recording=upload))
        upload.unlink()
    [kept] = await house.content.find("org-1", house.now)
    pieces = [piece async for piece in house.content.recording(kept.row)]
    assert b"".join(pieces) == CANARY.encode() * 20_000
    assert list(folder.iterdir()) == []
    assert [
        p for p in (tmp_path / FOLDER).rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()
    ] == []


async def test_what_finds_the_queue_full_is_counted_and_told_once(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(2000))
    for name, most, fields in (
        ("MOST", 3, {}),
        ("MOST_BYTES", 300, {}),
        ("MOST_RECORDED", 5000, {"recording": upload}),
    ):
        caplog.clear()
        with monkeypatch.context() as patched:
            patched.setattr(module, name, most)
            keeper = Keeper(house.content, lambda: house.now)
            for number in range(10):
                one = seen(house, request_id=f"req_{name}_{number}", **fields)
                keeper.observe(one)
            assert keeper.dropped["full"] == 10 - keeper.waiting and 1 <= keeper.waiting <= 9
        assert len(caplog.records) == 1 and CANARY not in caplog.text
        links = [file for file in os.listdir(tmp_path) if file.startswith(f"keep-req_{name}_")]
        assert len(links) == (keeper.waiting if fields else 0)


async def test_what_cannot_be_written_now_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [Unavailable("away"), StorageFull("full"), OSError("S3")]
    keep = house.content.keep

    async def fails(items: list[Item]) -> None:
        if problems:
            raise problems.pop()
        await keep(items)

    monkeypatch.setattr(house.content, "keep", fails)
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.0, 0.0, 0.0))
    async with keeping(house.content, lambda: house.now) as keeper:
        keeper.observe(seen(house))
    assert len(await house.rows()) == 1 and keeper.dropped.total() == 0


async def test_what_is_wrong_with_one_is_not_the_others_business(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys of one organization are not here."""
    async with keeping(house.content, lambda: house.now) as keeper:
        keeper.observe(seen(house, caller(organization="org-2")))
        await keeper.flush()
        lost = await house.secrets()
        await house.keys.destroy(lost)
        for organization in ("org-1", "org-2", "org-3"):
            keeper.observe(seen(house, caller(organization=organization)))
        await keeper.flush()
        assert sorted(row.organization_id for row in await house.rows()) == ["org-1", "org-2", "org-3"]
        assert keeper.dropped == {"failed": 1, "full": 0}
        assert "set content_keys" in caplog.text and CANARY not in caplog.text


async def test_something_unexpected_shows_no_content_and_ends_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep = house.content.keep

    async def fails(items: list[Item]) -> None:
        if items[0].asked == b"bad":
            raise ValueError(CANARY)
        await keep(items)

    monkeypatch.setattr(house.content, "keep", fails)
    async with keeping(house.content, lambda: house.now) as keeper:
        keeper.observe(seen(house, asked=b"bad"))
        await keeper.flush()
        keeper.observe(seen(house))
    assert len(await house.rows()) == 1 and keeper.dropped["failed"] == 1
    assert "ValueError" in caplog.text and CANARY not in caplog.text


async def test_the_end_does_not_wait_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stuck(items: list[Item]) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(house.content, "keep", stuck)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.05)
    caplog.set_level(logging.ERROR)
    async with asyncio.timeout(5), keeping(house.content, lambda: house.now) as keeper:
        promise = keeper.observe(seen(house, asked=STORE))
    assert promise is not None and promise.done() and keeper.dropped["failed"] == 1
    assert "there was no time left" in caplog.text


async def test_a_retired_key_is_no_obstacle(house: House) -> None:
    async with keeping(house.content, lambda: house.now) as keeper:
        keeper.observe(seen(house))
        await keeper.flush()
        async with house.database.begin() as connection:
            await connection.execute(update(content_key).values(current=None))
        keeper.observe(seen(house))
    assert len(await house.rows()) == 2 and keeper.dropped.total() == 0
