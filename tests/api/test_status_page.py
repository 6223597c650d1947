"""The status page, its JSON and its feed; and that what is shown is what requests came to."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
import xml.etree.ElementTree as xml
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.api.status_page import KEPT_SECONDS, StatusPage, level
from antiphon.errors import EngineFailed, Unavailable
from antiphon.operations.incidents import Incidents
from antiphon.settings import Settings
from antiphon.status.counting import SERVICE, Counter, flush
from antiphon.status.incidents import New
from antiphon.status.outcomes import objectives
from antiphon.storage.database import Database
from antiphon.values import ChatJob, Delta
from antiphon.wire.status import Status
from service import ScriptedEngine, Service, serving
from status_house import Minutes

ATOM = "{http://www.w3.org/2005/Atom}"


class House(Minutes):
    """A history that ends now, and the page of it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.clock = 0.0
        self.reads = 0
        self.fails = False
        self.incidents = Incidents(database, 99.9, lambda: self.now + 15)
        self.page = StatusPage(self.read, True, lambda: self.clock)

    async def read(self) -> Status:
        self.reads += 1
        if self.fails:
            raise Unavailable("The database cannot be used at the moment.")
        return await self.incidents.status()


@pytest.fixture
async def house(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[House]:
    path = tmp_path / "history.db"
    shutil.copy(migrated_sqlite, path)
    async with Database(f"sqlite+aiosqlite:///{path}") as database:
        yield House(database)


async def fetched(service: Service, path: str) -> tuple[int, Any, str]:
    async with service.session.get(f"http://127.0.0.1:{service.port}{path}") as response:
        return response.status, response.headers, await response.text()


async def test_an_empty_history_is_shown_as_such(house: House, tmp_path: Path) -> None:
    async with serving(tmp_path, status=house.page) as service:
        status, headers, page = await fetched(service, "/status")
        _, kinds, feed = await fetched(service, "/status.atom")
        _, _, style = await fetched(service, "/status.css")
        _, _, document = await fetched(service, "/status.json")
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert headers["cache-control"] == "public, max-age=5"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "<script" not in page and "style=" not in page
    assert page.count("No data yet") >= 5 and "100 %" not in page
    assert 'aria-label="Chat, the last 90 days: no data yet."' in page
    assert page.count("<rect") == 5 * 90 and "prefers-color-scheme: dark" in style
    assert '"state":"no_data"' in document
    assert kinds["content-type"].startswith("application/atom+xml")
    assert xml.fromstring(feed).findall(f"{ATOM}entry") == []


async def test_figures_incidents_and_the_feed(house: House, tmp_path: Path) -> None:
    await house.pass_by(60, chat=(1, 0))
    await house.pass_by(3, chat=(0, 1))
    await house.watch()
    text = "Disk <b>full</b> & slow\nsecond line"
    await house.incidents.open(New(title="<i>Slow</i>", text=text), by=None)
    house.now += 1  # they are in the order of their seconds
    plan = New(title="Move", text="To new disks.", begins_at=house.now + 3600, ends_at=house.now + 7200)
    made = await house.incidents.open(plan, by=None)
    async with serving(tmp_path, status=house.page) as service:
        _, _, page = await fetched(service, "/status")
        _, _, feed = await fetched(service, "/status.atom")
    assert "Outage" in page and "Chat: outage" in page and "Going on and announced" in page
    assert "&lt;i&gt;Slow&lt;/i&gt;" in page and "<b>full" not in page
    assert re.search(r"Chat, the last 90 days: 1 with data, 0 of them without any loss; the worst", page)
    assert "95.238 %" in page and "3.0 of 43.2 min" in page and "Measured since" in page
    root = xml.fromstring(feed)
    entries = root.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == ["Move", "<i>Slow</i>", "Chat: outage"]
    for element in (root, *entries):
        for name in ("id", "title", "updated"):
            assert element.findtext(f"{ATOM}{name}")
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", element.findtext(f"{ATOM}id") or "")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", element.findtext(f"{ATOM}updated") or "")
    assert len({entry.findtext(f"{ATOM}id") for entry in (root, *entries)}) == 4
    assert root.findtext(f"{ATOM}author/{ATOM}name") and "second line" in (
        entries[1].findtext(f"{ATOM}content") or ""
    )
    link = entries[0].find(f"{ATOM}link")
    assert f'id="{made.id}"' in page and link is not None and link.get("href") == f"/status#{made.id}"


async def test_a_crowd_costs_what_one_visitor_does(house: House, tmp_path: Path) -> None:
    async with serving(tmp_path, status=house.page) as service:
        await asyncio.gather(*(fetched(service, "/status") for _ in range(50)))
        await fetched(service, "/status.json")
        assert house.reads == 1
        house.clock += KEPT_SECONDS
        await fetched(service, "/status.atom")
        assert house.reads == 2
        house.clock += KEPT_SECONDS
        house.fails = True
        status, _, _ = await fetched(service, "/status")
        assert status == 200, "what was last known is shown"


async def test_it_is_closed_if_it_is_not_public(house: House, tmp_path: Path) -> None:
    house.page.public = False
    async with serving(tmp_path, status=house.page) as service:
        for path in ("/status", "/status.json", "/status.atom"):
            assert (await fetched(service, path))[0] == 401
            status, headers, _ = await service.call("GET", path)
            assert status == 200


async def breaks_off(job: ChatJob) -> AsyncIterator[Delta]:
    yield Delta(0, "Hello", completion_tokens=1)
    raise EngineFailed("The engine broke off.")


async def test_requests_count_as_what_became_of_them(house: House, tmp_path: Path) -> None:
    counter = Counter(objectives(Settings()), time.time)

    def counts() -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for (api, _), (good, bad) in counter.take().items():
            sums = found.setdefault(api, [0, 0])
            sums[0] += good
            sums[1] += bad
        return found

    async with serving(tmp_path, counter=counter) as service:
        await service.chat()
        await service.chat(stream=True)
        form = aiohttp.FormData({"model": "whisper-1"})
        form.add_field("file", b"seconds=2", filename="a.wav")
        assert (await service.call("POST", "/v1/audio/transcriptions", data=form))[0] == 200
        await service.chat(temperature=9)
        await service.call("GET", "/v1/models")
        await fetched(service, "/healthz")
        assert counts() == {"chat": [2, 0], "speech": [1, 0]}
    (tmp_path / "b").mkdir()
    async with serving(tmp_path / "b", ScriptedEngine(breaks_off), counter=counter) as service:
        status, _, body = await service.chat(stream=True)
        assert status == 200 and "engine_failed" in body
        await service.chat()
        assert counts() == {"chat": [0, 2]}


async def test_what_was_counted_is_what_is_shown(house: House) -> None:
    counter = Counter(objectives(Settings()), lambda: float(house.now))
    for _ in range(3):
        counter.live()
        counter.note("chat", good=True)
        house.now += 60
    counter.note("chat", good=False)
    await flush(counter, house.database)
    house.now += 60
    await house.watch()
    chat = (await house.read()).apis[0]
    assert chat.days[-1].uptime == 75.0 and chat.days[-1].requests == 4
    assert SERVICE not in [api.name for api in (await house.read()).apis]


@pytest.mark.parametrize(
    ("uptime", "expected"),
    [(None, "none"), (100.0, "good"), (99.9, "good"), (99.899, "fair"), (98.9, "poor"), (94.9, "bad")],
)
def test_how_a_day_is_coloured(uptime: float | None, expected: str) -> None:
    assert level(uptime) == expected
