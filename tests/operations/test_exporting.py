"""What is kept is given out whole to its owner, and for training only of who had opted in, and still has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from antiphon.access.access import Access, build
from antiphon.errors import ConfigurationError
from antiphon.operations import exporting
from antiphon.operations.exporting import Exported, Exporter, agreed
from antiphon.privacy.consent import CURRENT, Consents, Decision
from antiphon.privacy.expiring import shorten
from antiphon.privacy.keys import opened_keys
from antiphon.privacy.places import Folder
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.storage.tables import audit_log
from privacy_house import DAY, House, housed
from tenants import PEPPER


class Office:
    """Two organizations over a place where content is kept."""

    def __init__(self, house: House, access: Access) -> None:
        self.house, self.access = house, access
        self.consents = Consents(house.database, lambda: house.now)
        self.exporter = Exporter(house.database, house.content, lambda: house.now)
        self.ids: list[str] = []

    async def keep(self, whose: int, text: str = "hello", **fields: Any) -> None:
        await self.house.keep(self.house.item(text, organization_id=self.ids[whose], **fields))

    async def agree(self, whose: int) -> None:
        await self.consents.opt_in(self.ids[whose], CURRENT, given_by="Ann", by=None)

    async def audited(self, type: str) -> list[str]:
        query = select(audit_log.c.organization_id).where(audit_log.c.type == type)
        async with self.house.database.connect() as connection:
            return list(await connection.scalars(query))


@pytest.fixture
async def office(tmp_path: Path, database: Database, database_url: str) -> AsyncIterator[Office]:
    async with housed(tmp_path, database, database_url) as house:
        office = Office(house, build(database, PEPPER, lambda: house.now))
        for name in ("one", "two"):
            office.ids.append((await office.access.organizations.create(name, by=None)).id)
        yield office


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "content.jsonl").read_text().splitlines()]


async def test_an_owner_gets_everything_with_its_recordings(office: Office, tmp_path: Path) -> None:
    await office.keep(0, "hello", metadata={"a": "b"}, stored=True, completion_id="chatcmpl-1")
    await office.keep(0, "sound", kind="transcription", recording=b"RIFF" * 50_000)
    await office.keep(0, "short", days=1)
    await office.keep(1, "other")
    office.house.now += DAY
    found = await office.exporter.of_organization(office.ids[0], tmp_path / "out")
    assert (found.requests, found.recordings, found.missing) == (2, 1, 0)
    chat, speech = lines(tmp_path / "out")
    assert (chat["url"], chat["body"], chat["response"]["body"], chat["metadata"]) == (
        "/v1/chat/completions",
        {"asked": "hello"},
        {"answered": "hello"},
        {"a": "b"},
    )
    assert speech["url"] == "/v1/audio/transcriptions"
    assert (tmp_path / "out" / speech["recording"]).read_bytes() == b"RIFF" * 50_000
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "out").rglob("*")} == {0}
    assert await office.audited("data.exported") == [office.ids[0]]
    with pytest.raises(ConfigurationError, match="is not empty"):
        await office.exporter.of_organization(office.ids[0], tmp_path / "out")


async def test_large_ones_are_read_one_by_one(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.operations.exporting._BATCH_BYTES", 1)
    read: list[int] = []
    kept_read = office.house.content.read

    async def counted(rows: Sequence[Any]) -> Any:
        read.append(len(rows))
        return await kept_read(rows)

    monkeypatch.setattr(office.house.content, "read", counted)
    for number in range(3):
        await office.keep(0, f"number {number}")
    found = await office.exporter.of_organization(office.ids[0], tmp_path / "out")
    assert found.requests == len(lines(tmp_path / "out")) == 3 and read == [1, 1, 1]


async def test_a_recording_that_is_not_there_is_said_to_be_missing(office: Office, tmp_path: Path) -> None:
    await office.keep(0, "sound", kind="transcription", recording=b"RIFF")
    await office.keep(0, "hello")
    for file in (tmp_path / "content").rglob("*"):
        if file.is_file():
            file.unlink()
    found = await office.exporter.of_organization(office.ids[0], tmp_path / "out")
    assert (found.requests, found.recordings, found.missing) == (2, 0, 1)
    assert lines(tmp_path / "out")[0]["recording"] is None


async def test_for_training_there_is_only_what_was_asked_while_opted_in(
    office: Office, tmp_path: Path
) -> None:
    house = office.house
    await office.keep(0, "before")
    await office.keep(1, "never")
    house.now += 10
    await office.agree(0)
    await office.keep(0, "in the second of the decision")
    house.now += 10
    await office.keep(0, "meant")
    house.now += 10
    await office.consents.opt_out(office.ids[0], given_by="Ann", by=None)
    house.now += 10
    await office.keep(0, "while out")
    out = await office.exporter.for_training(office.ids, tmp_path / "out")
    assert out.requests == 0 and await office.audited("data.exported_for_training") == []
    house.now += 10
    await office.agree(0)
    house.now += 10
    await office.keep(0, "again")
    found = await office.exporter.for_training(office.ids, tmp_path / "in")
    assert [line["body"]["asked"] for line in lines(tmp_path / "in")][-2:] == ["meant", "again"]
    assert found.requests <= 3 and "before" not in (tmp_path / "in" / "content.jsonl").read_text()
    assert "while out" not in (tmp_path / "in" / "content.jsonl").read_text()
    assert await office.audited("data.exported_for_training") == [office.ids[0]]


async def test_who_opts_out_meanwhile_is_left(
    office: Office, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_BATCH", 2)
    for whose in (0, 1):
        await office.agree(whose)
    office.house.now += 10
    for whose in (0, 1):
        for at in range(5):
            await office.keep(whose, f"{whose}.{at}")
    office.house.now += 10

    async def opt_out() -> None:
        async with Database(database_url) as database:
            for id in office.ids:
                await Consents(database, lambda: office.house.now).opt_out(id, given_by="Ann", by=None)

    def show(found: Exported) -> None:
        if found.requests == 1:
            office.house.now += 10
            with ThreadPoolExecutor(1) as beside:
                beside.submit(asyncio.run, opt_out()).result()

    exporter = Exporter(office.house.database, office.house.content, lambda: office.house.now, show)
    found = await exporter.for_training(office.ids, tmp_path / "out")
    assert found.requests == 2
    assert [line["body"]["asked"] for line in lines(tmp_path / "out")] == ["0.0", "0.1"]
    assert await office.audited("data.exported_for_training") == [office.ids[0]]


async def test_a_body_that_was_sent_in_several_lines_is_one(office: Office, tmp_path: Path) -> None:
    await office.keep(0, asked=b'{\n  "price": 1.50,\n  "text": "a  \\n b"\r\n}', answered=b'{\n"a": 1\n}')
    await office.keep(0, "next")
    await office.exporter.of_organization(office.ids[0], tmp_path / "out")
    first, second = (tmp_path / "out" / "content.jsonl").read_text().splitlines()
    assert '"body":{"price":1.50,"text":"a  \\n b"}' in first and '"body":{"a":1}' in first
    assert json.loads(second)["body"] == {"asked": "next"}


@pytest.mark.parametrize("fate", ["moved", "deleted"])
async def test_what_the_purge_moves_meanwhile_is_not_missing(
    office: Office, tmp_path: Path, database_url: str, fate: str
) -> None:
    """By another process, between two lines of one batch."""
    house, settings = office.house, Settings(home=str(tmp_path), database=database_url)
    for text in ("first", "second"):
        await office.keep(0, text, kind="transcription", recording=text.encode() * 1000)
    before = {row.sealed_with for row in await house.rows()}

    async def purge() -> None:
        async with Database(database_url) as database, opened_keys(settings, database) as keys:
            other = House(tmp_path, database, keys, Folder(tmp_path))
            other.now = house.now + (31 * DAY if fate == "deleted" else 0)
            if fate == "moved":
                await database.run(lambda each: shorten(each, office.ids[0], "proj_1", 10, other.now))
            await other.purged()

    def show(found: Exported) -> None:
        if found.requests == 1:
            with ThreadPoolExecutor(1) as beside:
                beside.submit(asyncio.run, purge()).result()
            if fate == "deleted":
                house.now += 31 * DAY

    exporter = Exporter(house.database, house.content, lambda: house.now, show)
    found = await exporter.of_organization(office.ids[0], tmp_path / "out")
    assert not before & {row.sealed_with for row in await house.rows()}
    assert (found.requests, found.recordings, found.missing) == (2, 1 + (fate == "moved"), 0)
    if fate == "moved":
        second = tmp_path / "out" / lines(tmp_path / "out")[1]["recording"]
        assert second.read_bytes() == b"second" * 1000


@pytest.mark.parametrize(
    ("moments", "wanted"),
    [
        ([], False),
        ([(True, 4.5)], True),
        ([(True, 5.5)], False),
        ([(True, 4.0), (False, 5.999999)], False),
        ([(True, 4.0), (False, 6.0)], True),
        ([(True, 4.0), (False, 4.5)], False),
        ([(True, 3.0), (False, 4.0), (True, 4.5)], True),
    ],
)
def test_a_second_counts_if_all_of_it_was_agreed_to(moments: list[tuple[bool, float]], wanted: bool) -> None:
    decisions = [
        Decision(
            id="consent_1", opted_in=opted, decided_at=int(at * 1_000_000), text_version="1",
            text_sha256="", given_by="", actor_key_id=None, actor_member_id=None,
        )
        for opted, at in moments
    ]  # fmt: skip
    assert agreed(decisions, 5) is wanted


async def test_what_no_key_opens_is_left_out_and_counted(office: Office, tmp_path: Path) -> None:
    await office.keep(0, "lost", days=1)
    await office.keep(0, "there")
    lost = (await office.house.rows())[0].sealed_with
    await office.house.keys.destroy([lost])
    found = await office.exporter.of_organization(office.ids[0], tmp_path / "out")
    assert (found.requests, found.unreadable) == (1, 1)
    assert [line["body"]["asked"] for line in lines(tmp_path / "out")] == ["there"]
