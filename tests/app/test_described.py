"""What is described without a server is what a server says of itself."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from antiphon.app import running as app
from antiphon.app.described import document
from antiphon.settings import Settings
from service import listening


async def test_it_is_what_a_server_answers(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    async with (
        app.running(settings) as antiphon,
        listening(antiphon.edge, settings) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/openapi.json") as response,
    ):
        assert await response.json() == document(settings)
