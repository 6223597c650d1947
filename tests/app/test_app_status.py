"""What counts, watches and shows is there in a server, and its history survives one that is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from antiphon.app.running import running
from antiphon.operations.watching import Watcher
from antiphon.settings import Settings
from antiphon.storage.database import Database
from service import listening
from status_house import Minutes


async def test_what_a_server_counted_is_there_after_it(tmp_path: Path, monkeypatch: Any) -> None:
    settings = Settings(home=str(tmp_path), probe_seconds=0, moderation_scorers="rules")
    watched = asyncio.Event()
    look = Watcher.look

    async def told(self: Watcher) -> None:
        await look(self)
        watched.set()

    monkeypatch.setattr(Watcher, "look", told)
    async with (
        running(settings) as antiphon,
        listening(antiphon.edge, settings) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        headers = {"authorization": f"Bearer {antiphon.firsts.key}"}
        body = {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello"}]}
        async with session.get("/status") as response:
            assert response.status == 200 and "No data yet" in await response.text()
        async with session.get("/v1/operator/incidents", headers=headers) as response:
            assert response.status == 403
        async with session.post("/v1/chat/completions", headers=headers, json=body | {"n": 0}) as response:
            assert response.status == 400
        async with session.post("/v1/moderations", headers=headers, json={"input": "Hello"}) as response:
            assert response.status == 200
        assert await antiphon.edge.drain()
        async with session.post("/v1/chat/completions", headers=headers, json=body) as response:
            assert response.status == 503  # it says so to whoever asks while it ends: that counts
        await asyncio.wait_for(watched.wait(), 10)
    async with Database(settings.database_url) as database:
        counts = await Minutes(database).counted()
    found = {api: (good, bad) for (api, _), (good, bad) in counts.items()}
    assert found["chat"] == (0, 1) and found["service"][0] >= 1
    assert found["moderation"] == (1, 0)
    assert set(found) <= {"chat", "service", "moderation", "administration"}
