"""How the parts are put together: what waits for what, and how the whole ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from antiphon import app
from antiphon.access.authenticator import Authenticator
from antiphon.api.admin.table import Administration
from antiphon.api.routes import Route
from antiphon.errors import Unavailable
from antiphon.pools import machines
from antiphon.settings import Settings
from antiphon.storage.database import Database
from service import listening


async def test_pages_of_the_administration_keep_no_caller_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Administration] = []

    def rows(administration: Administration) -> Sequence[Route]:
        made.append(administration)
        return []

    monkeypatch.setattr(app, "rows", rows)
    settings = Settings(home=str(tmp_path))
    async with (
        app.running(settings) as antiphon,
        listening(antiphon.edge, settings) as port,
        aiohttp.ClientSession() as session,
        AsyncExitStack() as pages,
    ):
        for _ in range(8):
            await pages.enter_async_context(made[0].database.connect())
        headers = {"authorization": f"Bearer {antiphon.first_key}"}
        url = f"http://127.0.0.1:{port}/v1/models"
        async with session.get(url, headers=headers) as response:
            assert response.status == 200


async def test_it_ends_though_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(self: Authenticator) -> None:
        raise Unavailable("The database cannot be used at the moment.")

    with caplog.at_level(logging.WARNING):
        async with app.running(Settings(home=str(tmp_path))):
            monkeypatch.setattr(Authenticator, "flush_used", away)
    assert "the last use of keys could not be written" in caplog.text


async def test_it_tells_on_what_machine_engines_run(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    async with app.running(settings), Database(settings.database_url) as database:
        async with asyncio.timeout(10):
            while True:
                async with database.connect() as connection:
                    if found := await connection.run_sync(machines.known, int(time.time())):
                        break
                await asyncio.sleep(0.05)
    [one] = found
    assert one.cpus >= 1000 and one.memory > 0
