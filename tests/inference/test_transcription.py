"""What a recording pays: whole seconds of sound, by our own decoder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from antiphon.api import transcript_formats
from antiphon.errors import AudioTooShort, EngineFailed, InvalidAudio, StorageFull, TooLarge
from antiphon.ledger.meter import Bill
from antiphon.values import Progress, Segment, SpeechJob, Transcript, Usage
from service import (
    CALLER,
    KEY,
    SPEECH,
    ScriptedEngine,
    ScriptedRecording,
    Service,
    SpeechScript,
    serving,
    spoken,
)

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
    assert (paid.model, paid.endpoint) == ("whisper-1", "audio.transcriptions")
    assert 0 <= paid.queued_ms <= paid.engine_ms <= paid.first_ms <= paid.ended_ms


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


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_a_recording_that_is_too_long_after_all_is_free(tmp_path: Path, stream: str) -> None:
    failing = script(1.5, then=TooLarge("Too long."))
    async with serving(tmp_path, ScriptedEngine(speech=failing)) as service:
        _, _, body = await transcribe(service, 5, stream=stream)
        paid = await service.books.only()
    assert (paid.status, paid.cost, paid.reason) == ("voided", 0, "TooLarge")
    assert stream == "false" or ("until 1.5" in body and "error" in body and "[DONE]" not in body)


@pytest.mark.parametrize(("stream", "seconds"), [("true", 2), ("false", 0)])
async def test_a_recording_that_lied_pays_what_was_handed_over(
    tmp_path: Path, stream: str, seconds: int
) -> None:
    """Else a file with a broken end would be transcribed for nothing, as often as one likes."""
    failing = script(1.5, then=InvalidAudio("It lied about its length."))
    async with serving(tmp_path, ScriptedEngine(speech=failing)) as service:
        await transcribe(service, 5, stream=stream)
        paid = await service.books.only()
    assert (paid.status, paid.seconds) == ("settled" if seconds else "voided", seconds)


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_nobody_pays_for_more_sound_than_was_announced(tmp_path: Path, stream: str) -> None:
    """A codec may give a little more than its packets said."""
    async with serving(tmp_path, ScriptedEngine(speech=script(2.0, seconds=2.03))) as service:
        _, headers, body = await transcribe(service, 2, stream=stream)
        paid = await service.books.only()
    assert headers["antiphon-audio-seconds"] == "2.000"
    assert (paid.seconds, paid.cost, paid.reserved) == (2, 2 * SECOND, 2 * SECOND)
    told = body if isinstance(body, dict) else json.loads(body.split("\n\n")[-3].removeprefix("data: "))
    assert told["usage"]["seconds"] == 2


async def too_short() -> None:
    raise AudioTooShort()


async def endless() -> None:
    await asyncio.Event().wait()


class Refusing(ScriptedEngine):
    """Its recordings are opened as `opening` says."""

    def __init__(self, opening: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.opening = opening

    @asynccontextmanager
    async def open(self, job: SpeechJob) -> AsyncIterator[ScriptedRecording]:
        async with super().open(job) as recording:
            await self.opening()
            yield recording


@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize(("opening", "status"), [(too_short, 400), (endless, 408)])
async def test_what_cannot_be_read_reserves_nothing(
    tmp_path: Path, opening: Callable[[], Awaitable[None]], status: int, stream: str
) -> None:
    async with serving(tmp_path, Refusing(opening), speech_seconds=0.1) as service:
        refused, headers, _ = await transcribe(service, 1, stream=stream)
        assert refused == status and service.engine.jobs == [] and service.engine.held == 0
        assert "antiphon-audio-seconds" not in headers
        await service.chat()
        assert (await service.books.only()).task == "chat"


async def test_a_transcript_that_would_take_too_long_is_only_streamed(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with serving(tmp_path, engine, speech_answer_seconds=10) as service:
        engine.expected = 10.1
        status, _, body = await transcribe(service, 1)
        assert status == 413 and engine.jobs == [] and engine.held == 0
        assert (body["error"]["code"], body["error"]["param"]) == ("transcription_too_slow", "file")
        assert "stream=true" in body["error"]["message"]
        assert (await transcribe(service, 1, stream="true"))[0] == 200
        engine.expected = 10.0
        assert (await transcribe(service, 1))[0] == 200
        assert len(await service.books.requests(2)) == 2, "what is refused is in no books"


async def late(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
    await asyncio.sleep(0.4)
    async for piece in spoken(job):
        yield piece


@pytest.mark.parametrize(("expected", "status"), [(0.0, 408), (5.0, 200)])
async def test_the_first_segment_may_take_as_long_as_the_engine_said(
    tmp_path: Path, expected: float, status: int
) -> None:
    engine = ScriptedEngine(speech=late)
    engine.expected = expected
    async with serving(tmp_path, engine, speech_seconds=0.1) as service:
        assert (await transcribe(service, 1))[0] == status


async def test_an_engine_that_hears_nothing_for_long_moves_on_all_the_same(tmp_path: Path) -> None:
    async def silent(job: SpeechJob) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        for second in range(5):
            await asyncio.sleep(0.1)
            yield Progress(seconds=second)
        yield Transcript(language="en", duration=5.0, usage=Usage(seconds=5.0))

    async with serving(tmp_path, ScriptedEngine(speech=silent), speech_seconds=0.45) as service:
        status, _, body = await transcribe(service, 5, response_format="verbose_json")
    assert (status, body["text"], body["segments"]) == (200, "", [])


async def test_a_recording_that_passes_a_rate_is_let_go(tmp_path: Path) -> None:
    async with serving(tmp_path, audio_per_minute=60) as service:
        status, headers, body = await transcribe(service, 61)
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert service.engine.held == 0 and service.engine.jobs == []
        assert "antiphon-audio-seconds" not in headers


async def test_an_engine_is_told_the_snapshot_and_whose_the_recording_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await transcribe(service, 1)
    [job] = service.engine.jobs
    assert (job.model, job.organization) == (SPEECH, CALLER.organization_id)


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
