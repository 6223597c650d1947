"""An export of what is kept: made in the background, for its owner alone, and deleted."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from zipfile import ZipFile

import msgspec
import pytest

from antiphon.console.pages import exports
from antiphon.errors import ClientGone
from antiphon.operations.erasing import erase
from antiphon.privacy.content import Item
from console_service import House, Visitor


def _item(house: House, folder: Path, number: int) -> Item:
    now = int(house.world.wall)
    recording = None
    if number == 0:
        recording = folder / "recording"
        recording.write_bytes(b"sound" * 50_000)
    return Item(
        id=f"cont_{number}",
        request_id=f"req_{number}",
        organization_id=house.organization.id,
        project_id=house.project.id,
        key_id="key_1",
        kind="transcription" if recording else "chat",
        snapshot="tiny",
        created_at=now,
        expires_at=now + 86_400,
        days=1,
        whole=True,
        asked=msgspec.json.encode({"asked": "hello"}),
        answered=msgspec.json.encode({"answered": "world"}),
        recording=recording,
    )


async def _ended(visitor: Visitor) -> None:
    async with asyncio.timeout(120):
        while (await visitor.call("GET", "/data/export"))[1]["state"] == "running":
            await asyncio.sleep(0.05)


async def test_an_export_is_made_downloaded_by_its_owner_alone_and_deleted(
    house: House, tmp_path: Path
) -> None:
    await house.services.content.keep([_item(house, tmp_path, number) for number in range(3)])
    async with house.visitor("owner") as visitor, house.visitor("owner") as other:
        await visitor.seen("/data")
        assert (await visitor.post("/data/export"))[0] == 303
        await _ended(visitor)
        text = await visitor.seen("/data")
        assert "3 requests and 1 recordings are in the export" in text
        [path] = re.findall(r'href="(/data/export/[^"]+)"', text)
        async with visitor._session.get(visitor._root + path) as answer:
            assert answer.status == 200 and answer.content_type == "application/zip"
            assert "attachment" in answer.headers["content-disposition"]
            archive = ZipFile(io.BytesIO(await answer.read()))
        lines = [json.loads(line) for line in archive.read("content.jsonl").splitlines()]
        assert [line["body"] for line in lines] == [{"asked": "hello"}] * 3
        assert archive.read(lines[0]["recording"]) == b"sound" * 50_000
        assert (await other.get(path))[0] == 404 and "Download" not in await other.seen("/data")
        assert "is deleted" in await visitor.done("/data/export/delete")
        assert (await visitor.get(path))[0] == 404
        assert await asyncio.to_thread(lambda: list((tmp_path / "jobs").rglob("*.zip"))) == []
    [event] = [
        one
        for one in (await house.world.access.audit.list(house.organization.id)).data
        if one.type == "data.exported"
    ]
    assert event.actor_member_id


async def test_an_export_is_gone_once_its_content_is_erased(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erased from the console, or elsewhere; and a download that runs is broken off."""
    monkeypatch.setattr(exports, "PIECE", 1000)
    project = await house.services.access.projects.get(house.organization.id, house.project.id)
    await house.services.content.keep([_item(house, tmp_path, number) for number in range(3)])
    async with house.visitor("owner") as visitor:
        for elsewhere in (False, True):
            await visitor.seen("/data")
            await visitor.post("/data/export")
            await _ended(visitor)
            [path] = re.findall(r'href="(/data/export/[^"]+)"', await visitor.seen("/data"))
            if elsewhere:
                async with house.world.database.begin() as connection:
                    await erase(connection, house.organization.id, project.id, house.world.wall)
            else:
                [made] = await asyncio.to_thread(lambda: list((tmp_path / "jobs").rglob("*.zip")))
                sent = exports._pieces(made)
                await anext(sent)
                fields = {"confirm": "shop", "project": project.id}
                assert "3 requests are erased" in await visitor.done("/data/erase", fields)
                with pytest.raises(ClientGone):
                    await anext(sent)
            assert (await visitor.get(path))[0] == 404
            assert "Download" not in await visitor.seen("/data")
            assert await asyncio.to_thread(lambda: list((tmp_path / "jobs").rglob("*.zip"))) == []
            house.world.wall += 60


async def test_an_export_that_would_be_too_large_says_so_and_leaves_nothing(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_BYTES", 1000)
    await house.services.content.keep([_item(house, tmp_path, 0)])
    async with house.visitor("owner") as visitor:
        await visitor.seen("/data")
        await visitor.post("/data/export")
        await _ended(visitor)
        text = await visitor.seen("/data")
        assert "too much for a download" in text and "Download (" not in text
        assert await asyncio.to_thread(lambda: list((tmp_path / "jobs").rglob("content.jsonl"))) == []
