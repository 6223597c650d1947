"""What a recording pays: whole seconds of sound, by our own decoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from antiphon.api import transcript_formats
from antiphon.errors import AudioTooShort, EngineFailed, StorageFull
from antiphon.ledger.meter import Bill
from antiphon.values import Segment, SpeechJob, Transcript, Usage
from service import KEY, ScriptedEngine, Service, SpeechScript, serving, spoken

SECOND = 100_000
"""Nano-dollars, from the shipped price list."""
PATH = "/v1/audio/transcriptions"


def form(seconds: float, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in {"model": "whisper-1", **fields}.items():
        data.add_field(name, value)
    data.add_field("file", f"seconds={seconds}".encode(), filename="a.wav")
    return data


def script(*ends: float, seconds: float | None = None, then: Exception | None = None) -> SpeechScript:
    """Segments with these ends, then a transcript, an error, or nothing for ever."""

    async def answer(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        first = await anext(spoken(job))
        assert isinstance(first, Segment)
        for end in ends:
            yield msgspec.structs.replace(first, end=end, text=f" until {end}")
        if then:
            raise then
        if seconds is None:
            await asyncio.Event().wait()
        assert seconds is not None
        yield Transcript(language="en", duration=seconds, usage=Usage(seconds=seconds))

    return answer


async def transcribe(service: Service, seconds: float, **fields: str) -> tuple[int, Any, Any]:
    return await service.call("POST", PATH, data=form(seconds, **fields))


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}, {"response_format": "text"}])
async def test_a_transcript_pays_each_begun_second(tmp_path: Path, fields: dict[str, str]) -> None:
    async with serving(tmp_path, ScriptedEngine(speech=script(2.0, seconds=2.25))) as service:
        status, headers, _ = await transcribe(service, 2.25, **fields)
        paid = await service.books.only()
    assert status == 200 and paid.id == headers["x-request-id"]
    assert (paid.status, paid.seconds, paid.cost, paid.reserved) == ("settled", 3, 3 * SECOND, 3 * SECOND)


@pytest.mark.parametrize(("last", "paid_for"), [(4.2, 5), (12.5, 10)])
async def test_an_aborted_stream_pays_up_to_the_last_segment_handed_over(
    tmp_path: Path, last: float, paid_for: int
) -> None:
    """And never more than there is: a model may end its last words behind the sound."""
    async with serving(tmp_path, ScriptedEngine(speech=script(1.0, last))) as service:
        url, headers = f"http://127.0.0.1:{service.port}{PATH}", {"authorization": f"Bearer {KEY}"}
        data = form(10, stream="true")
        async with service.session.post(url, data=data, headers=headers) as response:
            while f"until {last}".encode() not in await asyncio.wait_for(
                response.content.readuntil(b"\n\n"), 5
            ):
                continue
            response.close()
        paid = await service.books.only()
    assert (paid.status, paid.seconds, paid.cost) == ("settled", paid_for, paid_for * SECOND)


@pytest.mark.parametrize(("stream", "seconds"), [("true", 2), ("false", 0)])
async def test_a_failure_midway_is_paid_for_what_was_handed_over(
    tmp_path: Path, stream: str, seconds: int
) -> None:
    failing = script(1.5, then=EngineFailed("The speech engine broke off."))
    async with serving(tmp_path, ScriptedEngine(speech=failing)) as service:
        await transcribe(service, 5, stream=stream)
        paid = await service.books.only()
    assert paid.seconds == seconds and paid.status == ("settled" if seconds else "voided")


async def too_short() -> float:
    raise AudioTooShort()


async def endless() -> float:
    await asyncio.Event().wait()
    return 0.0


@pytest.mark.parametrize(("reading", "status"), [(too_short, 400), (endless, 408)])
async def test_what_cannot_be_read_reserves_nothing(
    tmp_path: Path, reading: Callable[[], Awaitable[float]], status: int
) -> None:
    class Refusing(ScriptedEngine):
        async def prepare(self, asked: Any) -> Any:
            return await reading() if isinstance(asked, SpeechJob) else await super().prepare(asked)

    async with serving(tmp_path, Refusing(), speech_seconds=0.1) as service:
        refused, _, _ = await transcribe(service, 1)
        assert refused == status and service.engine.jobs == []
        await service.chat()
        assert (await service.books.only()).task == "chat"


async def test_a_transcript_that_cannot_be_written_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: Any, **more: Any) -> tuple[bytes, str]:
        raise ValueError("no such time")

    monkeypatch.setattr(transcript_formats, "render", fails)
    async with serving(tmp_path) as service:
        status, _, _ = await transcribe(service, 1)
        paid = await service.books.only()
    assert (status, paid.status, paid.cost) == (500, "voided", 0)


async def test_a_transcript_that_cannot_be_recorded_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(bill: Bill, usage: Usage) -> None:
        raise StorageFull("Full.")

    monkeypatch.setattr(Bill, "settle", fails)
    async with serving(tmp_path) as service:
        status, _, body = await transcribe(service, 1)
        _, _, stream = await transcribe(service, 1, stream="true")
    assert status == 507 and body["error"]["code"] == "storage_full"
    assert "storage_full" in stream and "[DONE]" not in stream
