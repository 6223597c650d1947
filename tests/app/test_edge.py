"""The whole application: what it says of its readiness while engines come and requests are drained."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from antiphon.app.running import running
from antiphon.settings import Settings
from service import listening


async def test_it_is_ready_once_its_engines_are_and_not_while_it_drains(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    async with (
        running(settings) as antiphon,
        listening(antiphon.edge, settings) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):

        async def ready() -> tuple[int, str]:
            async with session.get("/readyz") as response:
                return response.status, (await response.json())["status"]

        assert await ready() == (503, "unavailable")
        assert await antiphon.edge.drain()
        assert await ready() == (503, "draining")
