"""How the parts are put together: what waits for what, and how the whole ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from antiphon.api.admin.table import Administration
from antiphon.api.routes import Route
from antiphon.app import running as app
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
        headers = {"authorization": f"Bearer {antiphon.firsts.key}"}
        url = f"http://127.0.0.1:{port}/v1/models"
        async with session.get(url, headers=headers) as response:
            assert response.status == 200


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
    assert one.server == settings.server and one.has.cpus >= 1000 and one.has.memory > 0
