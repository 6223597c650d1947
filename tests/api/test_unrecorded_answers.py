"""An answer whose settlement cannot be recorded ends as an error, and no money is lost: disks that fail."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.app.edge import build_edge
from antiphon.ledger.ledger import Ledger
from antiphon.ledger.store import DatabaseStore
from antiphon.ledger.verify import verify
from antiphon.settings import Settings
from antiphon.values import ChatJob, Delta, Segment, SpeechJob, Transcript, Usage
from service import (
    Books,
    OneKey,
    ScriptedEngine,
    ScriptedPool,
    ScriptedPools,
    Service,
    catalogue,
    listening,
    migrated,
    spoken,
)
from simulated_disk import SimulatedDisk, inline

FULL, BROKEN = {"append": errno.ENOSPC}, {"sync": errno.EIO}
WORDS = 3
"""Of the prompt."""
TOKEN, SECOND = 2000, 100_000
"""Nano-dollars."""


class Machine:
    """Gateways that share a database and a disk; the disk fails once `together` answers are nearly whole."""

    def __init__(self, home: Path) -> None:
        self.disk = SimulatedDisk()
        self.fault: dict[str, int] = {}
        self.together = asyncio.Barrier(1)
        self._home, self._url = home, f"sqlite+aiosqlite:///{home / 'antiphon.db'}"

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Service]:
        settings = Settings(home=str(self._home), database=self._url)
        pool = ScriptedPool(ScriptedEngine(self._chat, self._speech), 4)
        pools: Any = ScriptedPools(pool)
        keys: Any = OneKey()
        async with (
            migrated(self._url) as database,
            Ledger(DatabaseStore(database), self.disk, inline, host="here") as ledger,
        ):
            edge = build_edge(settings, catalogue(self._home), pools, keys, ledger, self._home)
            async with listening(edge, settings) as port, aiohttp.ClientSession() as session:
                yield Service(edge, pool, Books(database), port, session)

    async def _chat(self, job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hello", completion_tokens=1)
        yield Delta(0, " you", (), "stop", 3)
        await self._fail()
        yield Usage(prompt_tokens=WORDS, completion_tokens=3)

    async def _speech(self, job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        async for piece in spoken(job):
            if isinstance(piece, Transcript):
                await self._fail()
            yield piece

    async def _fail(self) -> None:
        await self.together.wait()
        self.disk.fail |= self.fault


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def chat(service: Service, stream: bool) -> tuple[int, str]:
    messages = [{"role": "user", "content": "one two three"}]
    body = {"model": "gpt-3.5-turbo", "messages": messages, "max_tokens": 5, "stream": stream}
    return await told(service, "/v1/chat/completions", json=body)


async def transcribe(service: Service, **fields: str) -> tuple[int, str]:
    form = aiohttp.FormData({"model": "whisper-1", **fields})
    form.add_field("file", b"seconds=4", filename="sound.wav")
    return await told(service, "/v1/audio/transcriptions", data=form)


async def told(service: Service, path: str, **body: Any) -> tuple[int, str]:
    headers = {"authorization": "Bearer sk-test"}
    async with service.session.post(
        f"http://127.0.0.1:{service.port}{path}", headers=headers, **body
    ) as answer:
        return answer.status, await answer.text()


async def proven(service: Service) -> None:
    async with service.books.database.connect() as connection:
        assert await connection.run_sync(verify) == []


def last_error(text: str) -> str:
    """The code of the error event with which a stream ends."""
    assert "[DONE]" not in text
    event = text.strip().split("\n\n")[-1].removeprefix("data: ")
    return str(json.loads(event)["error"]["code"])


@pytest.mark.parametrize(
    "fault, status, code",
    [(FULL, 507, "storage_full"), (BROKEN, 503, "server_is_overloaded")],
    ids=["full", "broken"],
)
async def test_no_answer_looks_whole_and_nothing_stays_open(
    machine: Machine, fault: dict[str, int], status: int, code: str
) -> None:
    machine.fault, machine.together = fault, asyncio.Barrier(5)
    async with machine.serve() as service:
        streamed_chat, streamed_speech, *whole = await asyncio.gather(
            chat(service, stream=True),
            transcribe(service, stream="true"),
            chat(service, stream=False),
            transcribe(service),
            transcribe(service, response_format="srt"),
        )
        for found, text in (streamed_chat, streamed_speech):
            assert found == 200 and last_error(text) == code
            assert "finish" not in text.split("\n\n")[-2] and "transcript.text.done" not in text
        assert [(found, json.loads(text)["error"]["code"]) for found, text in whole] == [(status, code)] * 3
        found, _ = await chat(service, stream=False)
        assert found == status
        machine.disk.fail.clear()
    machine.fault, machine.together = {}, asyncio.Barrier(1)
    async with machine.serve() as service:
        assert (await chat(service, stream=False))[0] == 200
        async with asyncio.timeout(10):
            while len(rows := await service.books.requests()) < 6:
                await asyncio.sleep(0.02)
        assert {row.status for row in rows} <= {"settled", "voided"}
        # Whoever was refused the whole answer pays nothing, whatever the disk kept.
        assert sum(row.status == "voided" for row in rows) == (5 if fault is BROKEN else 3)
        await proven(service)


async def test_what_was_handed_over_is_charged_when_there_is_space_again(machine: Machine) -> None:
    machine.fault, machine.together = FULL, asyncio.Barrier(4)
    async with machine.serve() as service:
        await asyncio.gather(
            chat(service, stream=True),
            chat(service, stream=False),
            transcribe(service, stream="true"),
            transcribe(service),
        )
        machine.disk.fail.clear()
        rows = await service.books.requests()
        # Of the four seconds of sound, one segment of one second was handed over.
        charged = [0, 0, 1 * SECOND, (WORDS + 3) * TOKEN]
        assert sorted(row.cost for row in rows) == sorted(charged)
        assert sorted(row.status for row in rows) == ["settled", "settled", "voided", "voided"]
        machine.fault, machine.together = {}, asyncio.Barrier(1)
        assert (await chat(service, stream=False))[0] == 200  # without a restart
        await proven(service)
