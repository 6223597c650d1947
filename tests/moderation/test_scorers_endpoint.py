"""The scorer over another server of the API, on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from antiphon.errors import Unavailable
from antiphon.moderation.scorers import endpoint
from antiphon.moderation.scorers.endpoint import EndpointScorer, build
from antiphon.settings import Settings
from antiphon.wire.moderations import CATEGORIES


class Server:
    """Answers with `scores` for every input, or as `wrong` says."""

    def __init__(self) -> None:
        self.bodies: list[object] = []
        self.keys: list[str | None] = []
        self.wrong = ""
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization"))
        if self.wrong == "silent":
            await asyncio.sleep(5)
        if self.wrong == "elsewhere":
            return web.Response(status=307, headers={"location": f"{self.url}/other"})
        if self.wrong == "long":
            return web.Response(body=b" " * 2_000_000)
        scores = {"hate": 7.0, "violence": 0.25, "unknown": 1.0}
        results = [{"flagged": True, "category_scores": scores} for _ in body["input"]]
        if self.wrong == "few":
            results.pop()
        return web.json_response(
            {"id": "modr-1", "results": results}, status=500 if self.wrong == "500" else 200
        )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.add_routes([web.post("/v1/moderations", server.answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/moderations"
    yield server
    await runner.cleanup()


async def test_it_asks_in_the_apis_shape_and_reads_what_it_knows(server: Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-there\n")
    scorer = build(
        Settings(
            home=str(tmp_path),
            moderation_url=server.url,
            moderation_model="omni-moderation-latest",
            moderation_key_file=str(tmp_path / "key"),
        )
    )
    await scorer.start()
    found = await scorer.score([str(at) for at in range(40)])
    assert scorer.categories == set(CATEGORIES) and len(found) == 40
    assert found[0] == {"hate": 1.0, "violence": 0.25}
    assert server.bodies[0] == {
        "input": [str(at) for at in range(32)], "model": "omni-moderation-latest"
    }  # fmt: skip
    assert server.keys == ["Bearer sk-there"] * 2
    await scorer.close()


@pytest.mark.parametrize("wrong", ["500", "few", "elsewhere", "long", "silent"])
async def test_what_is_wrong_is_told_in_time_and_then_not_asked_again_for_a_while(
    server: Server, wrong: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint, "SECONDS", 0.3)
    scorer, server.wrong = EndpointScorer(server.url, "", ""), wrong
    began = time.monotonic()
    for _ in range(4):
        with pytest.raises(Unavailable) as told:
            await scorer.score(["Hello"])
        assert server.url not in str(told.value) and server.url not in scorer.problem
    assert time.monotonic() - began < 5
    assert len(server.bodies) == 3  # the fourth was not asked
    [line] = caplog.messages
    assert "the endpoint of moderation fails" in line and server.url not in line
    await scorer.close()
