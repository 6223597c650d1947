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
from antiphon.catalogue.document import laid_over
from antiphon.errors import Unavailable
from antiphon.pools import machines
from antiphon.pools.reports import Gateways
from antiphon.runtime.base import Command
from antiphon.runtime.local import LocalProcess, LocalRuntime
from antiphon.settings import Settings
from antiphon.storage.database import Database
from antiphon.values import NOTHING, Capacity, Deployment, Site
from service import listening
from until import until


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
    assert one.server == settings.server and one.has.cpus >= 1000 and one.has.memory > 0


async def test_relays_are_started_by_the_one_that_deals_out_the_processors(tmp_path: Path) -> None:
    started = []

    class Noting(LocalRuntime):
        async def start(self, name: str, command: Command, needs: Capacity = NOTHING) -> LocalProcess:
            started.append(name)
            raise OSError(None, "It is not to be started.")

    url = "http://127.0.0.1:9/v1"
    entry = {
        "task": "speech", "engine": "openai_speech", "owned_by": "o", "licence": "MIT",
        "released": "2026-03-01", "source": {"kind": "upstream", "url": url},
    }  # fmt: skip
    known = laid_over({"snapshots": {"w": entry}}).snapshots
    site = Site(urls=(url,), model="w")
    relay = Deployment(snapshot="w", task="speech", engine="openai_speech", model=Path("/m"), site=site)
    runtime = Noting(tmp_path / "run", tmp_path / "logs")
    pools = app._own(Settings(home=str(tmp_path)), runtime, Gateways(), known.__getitem__)
    pools.follow([relay])
    await until(lambda: started == ["w"])
    await pools.stop(0)
