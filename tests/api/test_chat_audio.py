"""Recordings in messages: transcribed, billed apart, and read by the model as text."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import EngineFailed, InvalidAudio, TooLarge
from antiphon.values import ChatJob, Progress, Segment, SpeechJob, Transcript
from service import CHAT, SPEECH, ScriptedEngine, billed, serving, spoken


def audio(content: bytes = b"sound", **fields: Any) -> dict[str, Any]:
    data = {"data": base64.b64encode(content).decode(), "format": "wav", **fields}
    return {"type": "input_audio", "input_audio": data}


def asked(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


TEXT = {"type": "text", "text": "What is said here? "}


async def test_the_model_reads_what_is_said(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with serving(tmp_path, engine) as service:
        status, _, _ = await service.chat(messages=asked(TEXT, audio(), audio(b"more")))
    first, second, chat = engine.jobs
    assert status == 200
    assert isinstance(first, SpeechJob) and isinstance(second, SpeechJob) and isinstance(chat, ChatJob)
    assert (first.model, first.organization) == (SPEECH, "org-1")
    assert [message.content for message in chat.messages] == ["What is said here? Hello.Hello."]
    assert not list((tmp_path / "uploads").rglob("upload-*"))
    bills = sorted((row.task, row.snapshot, row.status, row.seconds) for row in await billed(tmp_path))
    assert bills == [("chat", CHAT, "settled", 0), *[("speech", SPEECH, "settled", 1)] * 2]


@pytest.mark.requirement("R12")
@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([TEXT, audio(data="?")], "messages[0].content[1].input_audio.data"),
        ([audio(format="ogg")], "messages[0].content[0].input_audio.format"),
        ([{"type": "input_audio"}], "messages[0].content[0].input_audio"),
        ([audio()] * 9, "messages[0].content[8]"),
        ([audio(), {"type": "image_url"}], "messages[0].content[1].type"),
    ],
)
async def test_what_is_wrong_is_told_before_anything_is_transcribed(
    tmp_path: Path, parts: list[dict[str, Any]], param: str
) -> None:
    engine = ScriptedEngine()
    async with serving(tmp_path, engine) as service:
        status, _, body = await service.chat(messages=asked(*parts))
    assert (status, body["error"]["param"]) == (400, param)
    assert engine.jobs == []


async def test_a_recording_that_cannot_be_read_is_named_by_its_place(tmp_path: Path) -> None:
    async def refuses(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        raise InvalidAudio("Invalid file format.")
        yield

    async with serving(tmp_path, ScriptedEngine(speech=refuses)) as service:
        status, _, body = await service.chat(messages=asked(TEXT, audio()))
    assert (status, body["error"]["param"]) == (400, "messages[0].content[1].input_audio.data")
    [row] = await billed(tmp_path)
    assert (row.task, row.status) == ("speech", "voided")


@pytest.mark.requirement("R8")
@pytest.mark.parametrize("expected", [0.0, 1000.0])
async def test_a_recording_that_is_too_long_is_named_by_its_place(tmp_path: Path, expected: float) -> None:
    async def refuses(job: SpeechJob) -> AsyncGenerator[Segment | Progress | Transcript, None]:
        raise TooLarge("The recording is too long.", param="file", code="audio_too_long")
        yield

    engine = ScriptedEngine(speech=refuses)
    engine.expected = expected
    async with serving(tmp_path, engine) as service:
        status, _, body = await service.chat(messages=asked(TEXT, audio()))
    error = body["error"]
    assert (status, error["param"]) == (413, "messages[0].content[1].input_audio.data")
    assert error["code"] == ("transcription_too_slow" if expected else "audio_too_long")
    assert "stream" not in error["message"]


async def test_a_broken_speech_engine_ends_the_request(tmp_path: Path) -> None:
    async def breaks(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        raise EngineFailed("The engine broke off.")
        async for piece in spoken(job):
            yield piece

    async with serving(tmp_path, ScriptedEngine(speech=breaks)) as service:
        assert (await service.chat(messages=asked(audio())))[0] == 503


@pytest.mark.parametrize("hears", ["", "nothing-here", "gpt-3.5-turbo"])
async def test_a_model_that_hears_with_no_speech_model_refuses_recordings(tmp_path: Path, hears: str) -> None:
    engine = ScriptedEngine()
    async with serving(tmp_path, engine, models={"snapshots": {CHAT: {"hears": hears}}}) as service:
        status, _, body = await service.chat(messages=asked(audio()))
    assert (status, body["error"]["param"]) == (400, "messages[0].content[0].type")
    assert engine.jobs == []
