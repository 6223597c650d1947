"""`/v1/audio/*` over scripted engines: forms, formats, streams; the real model is tested end to end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from antiphon.errors import AudioTooShort, EngineFailed
from antiphon.values import Segment, SpeechJob, Transcript, Word
from service import KEY, SPEECH, ScriptedEngine, Service, serving, spoken

TRANSCRIPTIONS = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"


def form(*fields: tuple[str, str], file_first: bool = False) -> aiohttp.FormData:
    data = aiohttp.FormData()
    parts: list[tuple[str, Any]] = [("model", "whisper-1"), *fields]
    parts.insert(0 if file_first else len(parts), ("file", b"sound"))
    for name, value in parts:
        if name == "file":
            data.add_field(
                name, value, filename="/home/me/a/../talk.bin", content_type="application/octet-stream"
            )
        else:
            data.add_field(name, value)
    return data


async def transcribe(service: Service, *fields: tuple[str, str], **options: Any) -> tuple[int, Any, Any]:
    return await service.call("POST", TRANSCRIPTIONS, data=form(*fields), **options)


def events(body: str) -> list[dict[str, Any]]:
    """Those of a stream that is whole."""
    *found, done = [block.removeprefix("data: ") for block in body.strip().split("\n\n")]
    assert done == "[DONE]"
    return [json.loads(event) for event in found]


@pytest.mark.parametrize("file_first", [True, False])
async def test_any_order_of_parts(tmp_path: Path, file_first: bool) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.call("POST", TRANSCRIPTIONS, data=form(file_first=file_first))
    assert status == 200
    assert body == {"text": "Hello.", "usage": {"type": "duration", "seconds": 1}}


@pytest.mark.requirement("R21")
async def test_the_job_is_what_was_asked_and_the_file_is_gone_afterwards(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def script(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        seen.append(job.file.read_bytes())
        async for piece in spoken(job):
            yield piece

    async with serving(tmp_path, ScriptedEngine(speech=script)) as service:
        status, _, _ = await transcribe(
            service,
            ("language", "German"),
            ("prompt", "Antiphon"),
            ("temperature", "0.5"),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
        )
    assert status == 200 and seen == [b"sound"]
    [job] = service.engine.jobs
    assert (job.task, job.language, job.prompt, job.temperature, job.words) == (
        "transcribe",
        "de",
        "Antiphon",
        0.5,
        True,
    )
    assert "talk" not in str(job.file) and not job.file.exists()
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_translation(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.call("POST", TRANSLATIONS, data=form(("response_format", "text")))
        refused, _, problem = await service.call("POST", TRANSLATIONS, data=form(("language", "de")))
    assert status == 200 and body == "Hello.\n"
    assert service.engine.jobs[0].task == "translate"
    assert refused == 400 and problem["error"]["param"] == "language"


async def test_a_streamed_transcript(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, headers, body = await transcribe(service, ("stream", "true"))
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    assert events(body) == [
        {"type": "transcript.text.delta", "delta": "Hello."},
        {
            "type": "transcript.text.done",
            "text": "Hello.",
            "usage": {"type": "duration", "seconds": 1},
        },
    ]


async def said(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
    """Two segments, with words if they are wanted."""
    segment, transcript = [piece async for piece in spoken(job)]
    assert isinstance(segment, Segment)
    for number, text in enumerate((" Hello.", " Good bye.")):
        words = [Word(text, number + 0.25, number + 1.0)] if job.words else []
        yield msgspec.structs.replace(
            segment, id=number, start=float(number), end=number + 1.0, text=text, words=words
        )
    yield transcript


@pytest.mark.parametrize("path", [TRANSCRIPTIONS, TRANSLATIONS])
async def test_a_verbose_stream_tells_each_segment_too(tmp_path: Path, path: str) -> None:
    fields = [("stream", "true"), ("response_format", "verbose_json")]
    async with serving(tmp_path, ScriptedEngine(speech=said)) as service:
        status, headers, body = await service.call("POST", path, data=form(*fields))
        _, _, whole = await service.call("POST", path, data=form(fields[1]))
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    found = events(body)
    kinds = ["transcript.text.delta", "transcript.text.segment"] * 2 + ["transcript.text.done"]
    assert [event.pop("type") for event in found] == kinds
    assert "".join(event["delta"] for event in found[0:4:2]) == "Hello. Good bye."
    assert found[1:4:2] == whole["segments"]
    assert found[-1] == {key: whole[key] for key in ("text", "language", "duration", "usage")}


async def test_a_verbose_stream_has_words_if_asked_for(tmp_path: Path) -> None:
    fields = [("stream", "true"), ("response_format", "verbose_json"), ("timestamp_granularities[]", "word")]
    async with serving(tmp_path, ScriptedEngine(speech=said)) as service:
        _, _, body = await transcribe(service, *fields)
    words = [event["words"] for event in events(body) if event["type"] == "transcript.text.segment"]
    assert words == [
        [{"word": "Hello.", "start": 0.25, "end": 1.0}],
        [{"word": "Good bye.", "start": 1.25, "end": 2.0}],
    ]


@pytest.mark.parametrize("path", [TRANSCRIPTIONS, TRANSLATIONS])
@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("response_format", ["json", "text", "srt", "verbose_json", "vtt"])
async def test_every_result_tells_the_length_of_the_recording(
    tmp_path: Path, path: str, stream: str, response_format: str
) -> None:
    fields = form(("stream", stream), ("response_format", response_format))
    key = {"idempotency-key": "once"}
    async with serving(tmp_path) as service:
        status, headers, body = await service.call("POST", path, data=fields, headers=key)
        fields = form(("stream", stream), ("response_format", response_format))
        _, again, replayed = await service.call("POST", path, data=fields, headers=key)
        refused, other, _ = await service.call("POST", path, data=form(("nonsense", "1")))
    assert (status, headers["antiphon-audio-seconds"]) == (200, "1.000")
    assert (again["idempotent-replayed"], again["antiphon-audio-seconds"]) == ("true", "1.000")
    assert replayed == body
    assert refused == 400 and "antiphon-audio-seconds" not in other


async def test_a_translation_is_streamed_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        _, _, body = await service.call("POST", TRANSLATIONS, data=form(("stream", "true")))
    assert [event["type"] for event in events(body)] == ["transcript.text.delta", "transcript.text.done"]
    assert service.engine.jobs[0].task == "translate"


async def test_a_failure_midway_is_an_error_event_or_an_error(tmp_path: Path) -> None:
    async def script(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        async for piece in spoken(job):
            if isinstance(piece, Transcript):
                raise EngineFailed("The speech engine broke off.")
            yield piece

    async with serving(tmp_path, ScriptedEngine(speech=script)) as service:
        _, _, stream = await transcribe(service, ("stream", "true"))
        status, headers, whole = await transcribe(service)
    last = json.loads(stream.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == "engine_failed" and "[DONE]" not in stream
    assert "antiphon-audio-seconds" not in headers, "an error is no result"
    assert status == 503 and whole["error"]["code"] == "engine_failed"


async def test_what_the_engine_refuses_is_told_as_it_is(tmp_path: Path) -> None:
    async def script(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        raise AudioTooShort()
        yield

    async with serving(tmp_path, ScriptedEngine(speech=script)) as service:
        status, _, body = await transcribe(service)
    assert status == 400
    assert body["error"]["code"] == "audio_too_short" and body["error"]["param"] == "file"


async def test_silence_between_segments_has_an_end(tmp_path: Path) -> None:
    async def script(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        await asyncio.sleep(3600)
        yield

    async with serving(tmp_path, ScriptedEngine(speech=script), speech_seconds=0.1) as service:
        status, headers, body = await transcribe(service)
    assert status == 408 and headers["x-should-retry"] == "false"
    assert body["error"]["code"] == "timeout"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("response_format", "xml", "invalid_value"),
        ("temperature", "1.5", "invalid_value"),
        ("temperature", "warm", "invalid_type"),
        ("language", "klingon", "invalid_language_format"),
        ("timestamp_granularities[]", "word", "invalid_parameter_combination"),
        ("chunking_strategy", "server_vad", "unsupported_parameter"),
        ("include[]", "logprobs", "unsupported_parameter"),
        ("nonsense", "1", "unknown_parameter"),
    ],
)
async def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: str, code: str) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await transcribe(service, (field, value))
    assert status == 400
    assert (body["error"]["param"], body["error"]["code"]) == (field.removesuffix("[]"), code)
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_without_a_file_or_a_model(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        data = aiohttp.FormData()
        data.add_field("model", "whisper-1", content_type="text/plain")
        without_file = (await service.call("POST", TRANSCRIPTIONS, data=data))[2]
        data = aiohttp.FormData()
        data.add_field("file", b"sound", filename="a.wav")
        without_model = (await service.call("POST", TRANSCRIPTIONS, data=data))[2]
        wrong_model = (await service.call("POST", TRANSCRIPTIONS, data=_chat_model()))[2]
    assert without_file["error"]["param"] == "file"
    assert without_model["error"]["param"] == "model"
    assert wrong_model["error"]["param"] == "model"


def _chat_model() -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("model", "gpt-3.5-turbo")
    data.add_field("file", b"sound", filename="a.wav")
    return data


@pytest.mark.parametrize("route", ["transcriptions", "translations"])
async def test_what_there_is_no_room_for_is_refused_before_it_is_read(tmp_path: Path, route: str) -> None:
    """Unless it has a key by which its answer may be kept."""
    released = asyncio.Event()

    async def held(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        await released.wait()
        async for piece in spoken(job):
            yield piece  # type: ignore[misc]

    async def begun(service: Service, **headers: str) -> bytes:
        """The first line of the answer to an upload of which only the head is sent; empty if none comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        told = {"authorization": f"Bearer {KEY}", "content-type": "multipart/form-data; boundary=x"}
        lines = [f"{name}: {value}" for name, value in (told | headers).items()]
        head = [f"POST /v1/audio/{route} HTTP/1.1", "host: x", "content-length: 20000000", *lines]
        writer.write("\r\n".join([*head, "", ""]).encode())
        try:
            async with asyncio.timeout(1):
                return await reader.readline()
        except TimeoutError:
            return b""
        finally:
            writer.close()

    engine = ScriptedEngine(speech=held)
    async with serving(tmp_path, engine, 1, queue_per_organization=1) as service:
        assert await begun(service) == b"", "there is room: it is read"
        sends = (service.call("POST", f"/v1/audio/{route}", data=form()) for _ in range(2))
        waiting = [asyncio.create_task(one) for one in sends]
        async with asyncio.timeout(10):
            while (
                f'waiting_requests{{snapshot="{SPEECH}"}} 1' not in (await service.call("GET", "/metrics"))[2]
            ):
                await asyncio.sleep(0.01)
        assert b" 429 " in await begun(service)
        assert await begun(service, **{"idempotency-key": "one"}) == b""
        assert await begun(service, authorization="Bearer sk-org-other") == b"", "it has a line of its own"
        released.set()
        assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}
