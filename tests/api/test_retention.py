"""A request may ask that nothing of it is kept, and is told whether that was understood."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.api.retention import HEADER, ZERO
from antiphon.privacy.keeper import keeping
from antiphon.values import Policy
from observations import Watcher
from privacy_house import House, housed
from service import CALLER, CHAT, Service, migrated, serving

STRICT = {HEADER: ZERO}
BODY = {"model": CHAT, "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 5}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    url = f"sqlite+aiosqlite:///{tmp_path}/kept.db"
    async with migrated(url) as database, housed(tmp_path, database, url) as house:
        house.now = time.time()
        yield house


async def chat(service: Service, headers: dict[str, str] = STRICT, **fields: Any) -> tuple[int, Any, Any]:
    return await service.call("POST", "/v1/chat/completions", json=BODY | fields, headers=headers)


async def transcribe(service: Service) -> tuple[int, Any, Any]:
    form = aiohttp.FormData({"model": "whisper-1"})
    form.add_field("file", b"sound", filename="talk.wav")
    return await service.call("POST", "/v1/audio/transcriptions", data=form, headers=STRICT)


async def test_nothing_is_kept_of_it_whatever_the_policy_of_its_project(house: House, tmp_path: Path) -> None:
    watcher = Watcher()
    async with keeping(house.content) as keeper:
        async with serving(tmp_path, observers=[keeper, watcher]) as service:
            for answer in (
                await chat(service, store=True, metadata={"a": "b"}),
                await chat(service, store=True, stream=True),
                await transcribe(service),
            ):
                assert answer[0] == 200 and answer[1][HEADER] == ZERO
            assert keeper.waiting == 0
            status, headers, _ = await chat(service, {}, store=True)
            assert status == 200 and HEADER not in headers
            assert len(watcher.told) == 4
        await keeper.flush()
    [row] = await house.rows()
    assert row.request_id == watcher.told[-1].request_id
    # Whoever watches still sees it all, and that it is to be kept nowhere.
    strict = Policy(days=0, stores=False)
    assert [one.caller.policy for one in watcher.told] == [strict, strict, strict, CALLER.policy]
    assert not [path for path in (tmp_path / "uploads").iterdir() if path.is_file()]


async def test_it_can_be_asked_whether_it_is_understood_before_anything_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, headers, _ = await service.call("GET", "/v1/models", headers=STRICT)
        assert status == 200 and headers[HEADER] == ZERO
        status, headers, _ = await service.call("GET", "/v1/models")
        assert status == 200 and HEADER not in headers


@pytest.mark.parametrize("wrong", ["", "zero", "none", "30", "Zero_Data_Retention"])
async def test_who_asks_for_what_there_is_not_is_refused_before_anything_is_done(
    tmp_path: Path, wrong: str
) -> None:
    watcher = Watcher()
    async with serving(tmp_path, observers=[watcher]) as service:
        status, headers, body = await chat(service, {HEADER: wrong})
        assert status == 400 and HEADER not in headers
        assert (body["error"]["param"], body["error"]["code"]) == (HEADER, "invalid_value")
        assert not service.engine.jobs and not watcher.told
