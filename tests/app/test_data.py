"""What is kept by the whole application: by policy, encrypted, with figures of it, and deleted on time."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from pathlib import Path

import pytest

from antiphon.app.data import Evidence, Lateness, kept, opened_content, purging
from antiphon.errors import ConfigurationError, Unavailable
from antiphon.inference.metrics import Metrics
from antiphon.privacy.keeper import keeping
from antiphon.settings import Settings
from antiphon.storage.database import Database
from privacy_house import DAY, House
from service import CALLER, serving


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    shutil.copy(migrated_sqlite, tmp_path / "antiphon.db")
    return Settings(home=str(tmp_path))


async def test_a_request_is_kept_and_purged(settings: Settings) -> None:
    async with (
        Database(settings.database_url) as database,
        opened_content(settings, database) as content,
        keeping(content) as keeper,
        serving(settings.home_path, observers=[keeper]) as service,
    ):
        status, headers, body = await service.chat(store=True, metadata={"a": "b"})
        assert status == 200
        [found] = await content.find(CALLER.organization_id, time.time())  # durable by the end of the answer
        assert found.row.request_id == headers["x-request-id"] and found.metadata == {"a": "b"}
        assert found.row.completion_id == body["id"]
        house = House(settings.home_path, database, content.keys, content.place)
        await house.keep(house.item(created_at=0, expires_at=DAY))
        work = await purging(settings, database, content)
        assert set(work) == {"purge", "purge alarm"}
        running = asyncio.gather(*work.values())
        async with asyncio.timeout(10):
            while len(await house.rows()) > 1 or len(await house.secrets()) > 1:
                await asyncio.sleep(0.02)
        running.cancel()


async def test_evidence_is_a_line_for_the_request_and_one_for_its_answer(settings: Settings) -> None:
    async with Database(settings.database_url) as database, opened_content(settings, database) as content:
        house = House(settings.home_path, database, content.keys, content.place)
        house.now = time.time()
        await house.keep(house.item(request_id="req_1", asked=b'{\n  "a": 1\n}'))
        text = await Evidence(content).text("org-1", "req_1")
    assert text == '{"a":1}\n{"answered":"hello"}'


async def test_what_is_kept_and_deleted_is_among_the_metrics(settings: Settings) -> None:
    async with Database(settings.database_url) as database, kept(settings, database) as data:
        metrics = Metrics()
        data.figures(metrics)
        data.keeper.dropped["full"] += 2
        data.late.seconds = 7
        text = metrics.text().decode()
    assert 'antiphon_content_dropped{reason="full"} 2.0' in text
    assert 'antiphon_content_waiting{state="queued"} 0.0' in text
    assert 'antiphon_purge_late_seconds{what="content"} 7.0' in text


async def test_lateness_is_looked_at_again_and_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("antiphon.app.data._LOOK", 0.01)
    async with Database(settings.database_url) as database, opened_content(settings, database) as content:
        house = House(settings.home_path, database, content.keys, content.place)
        await house.keep(house.item(created_at=0, expires_at=DAY))
        clock = iter([Unavailable("away")])

        def now() -> float:
            for problem in clock:
                raise problem
            return 3.0 * DAY

        late = Lateness(database, now)
        running = asyncio.create_task(late.run())
        async with asyncio.timeout(10):
            while late.seconds != 2 * DAY:
                await asyncio.sleep(0.01)
        running.cancel()
    assert "it is not known whether content is deleted on time: away" in caplog.text


async def test_a_machine_without_the_keys_says_so_and_starts(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Database(settings.database_url) as database:
        async with opened_content(settings, database) as content:
            house = House(settings.home_path, database, content.keys, content.place)
            house.now = time.time()
            await house.keep(house.item())
        other = Settings(home=str(tmp_path / "other"), database=settings.database_url)
        with caplog.at_level(logging.ERROR):
            async with opened_content(other, database):
                pass
    assert "set content_keys to the same database on every machine" in caplog.text


async def test_storage_that_cannot_be_used_is_told_at_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    there = Settings(home=settings.home, content_storage="s3://kept")
    async with Database(settings.database_url) as database:
        with pytest.raises(ConfigurationError, match="boto3 is not installed"):
            async with opened_content(there, database):
                pass
