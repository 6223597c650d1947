"""The speech engine's HTTP side, with transcripts that are written down beforehand."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message

from antiphon.errors import ClientGone, InvalidAudio, TooLarge
from antiphon.values import Segment, Transcript, Usage
from antiphon.workers.speech import app as speech_app
from antiphon.workers.speech.app import create
from antiphon.workers.speech.job import Job

BOUNDARY = "frontier"


def segment(number: int, text: str) -> Segment:
    return Segment(
        id=number, seek=0, start=float(number), end=number + 1.0, text=text, tokens=[1, 2], temperature=0.0,
        avg_logprob=-0.5, compression_ratio=1.0, no_speech_prob=0.1,
    )  # fmt: skip


TRANSCRIPT = Transcript(language="en", duration=2.5, usage=Usage(seconds=2.5))


class Script:
    """In place of a `Transcriber`: yields what it was given, raises what is an exception."""

    def __init__(self, *steps: Segment | Transcript | Exception) -> None:
        self.steps = steps
        self.jobs: list[Job] = []
        self.contents: list[bytes] = []

    def transcribe(self, job: Job) -> Iterator[Segment | Transcript]:
        self.jobs.append(job)
        self.contents.append(job.file.read())
        for step in self.steps:
            job.step()
            if isinstance(step, Exception):
                raise step
            yield step

    def measure(self, job: Job) -> float:
        *_, transcript = self.transcribe(job)
        assert isinstance(transcript, Transcript)
        return transcript.duration

    def check(self) -> None:
        return


class Endless(Script):
    """Works until it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.working = threading.Event()
        self.ended = threading.Event()

    def transcribe(self, job: Job) -> Iterator[Segment | Transcript]:
        self.working.set()
        try:
            while not job._cancelled.wait(5):
                continue
            job.step()
            yield TRANSCRIPT
        finally:
            self.ended.set()


class Exchange:
    """One request, spoken as ASGI. The client stays until `leave`."""

    def __init__(self, path: str, body: bytes) -> None:
        self.scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": "",
            "scheme": "http", "query_string": b"", "http_version": "1.1", "server": None, "client": None,
            "headers": [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())],
        }  # fmt: skip
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.sent: list[Message] = []

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def events(self) -> list[Any]:
        assert self.body.endswith(b"\n\n")
        frames = self.body.decode().split("\n\n")[:-1]
        return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def form(file: bytes | None = b"sound", **fields: str) -> bytes:
    lines = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'
        for n, v in fields.items()
    ]
    head = "".join(lines).encode()
    if file is not None:
        disposition = b'content-disposition: form-data; name="file"; filename="recording"\r\n\r\n'
        head += f"--{BOUNDARY}\r\n".encode() + disposition + file + b"\r\n"
    return head + f"--{BOUNDARY}--\r\n".encode()


async def exchange(script: Script, body: bytes, task: str = "transcriptions") -> Exchange:
    talk = Exchange(f"/v1/audio/{task}", body)
    await create(script, 1)(talk.scope, talk.incoming.get, talk.send)  # type: ignore[arg-type]
    return talk


async def test_segments_and_the_whole_text_are_sent_as_events() -> None:
    talk = await exchange(Script(segment(0, " One"), segment(1, " two."), TRANSCRIPT), form())
    assert talk.status == 200
    assert (b"content-type", b"text/event-stream") in talk.sent[0]["headers"]
    first, second, done = talk.events()
    assert first["type"] == second["type"] == "transcript.text.segment"
    assert {k: v for k, v in second.items() if k != "type"} == {
        "id": 1, "seek": 0, "start": 1.0, "end": 2.0, "text": " two.", "tokens": [1, 2], "temperature": 0.0,
        "avg_logprob": -0.5, "compression_ratio": 1.0, "no_speech_prob": 0.1, "words": [],
    }  # fmt: skip
    assert done == {
        "type": "transcript.text.done", "text": "One two.", "language": "en", "duration": 2.5,
        "usage": {"type": "duration", "seconds": 2.5},
    }  # fmt: skip


async def test_every_field_of_the_form_reaches_the_job() -> None:
    script = Script(TRANSCRIPT)
    fields = {"model": "m", "language": "de", "prompt": "Guten Tag", "temperature": "0.4"}
    await exchange(script, form(b"\0sound", **fields, **{"timestamp_granularities[]": "word"}))
    (job,) = script.jobs
    assert script.contents == [b"\0sound"]
    assert (job.task, job.language, job.prompt, job.temperature, job.words) == (
        "transcribe", "de", "Guten Tag", 0.4, True,
    )  # fmt: skip
    await exchange(script, form(language="", temperature=""), "translations")
    job = script.jobs[1]
    assert (job.task, job.language, job.prompt, job.temperature, job.words) == (
        "translate",
        None,
        None,
        0.0,
        False,
    )


async def test_how_long_a_recording_is() -> None:
    script = Script(TRANSCRIPT)
    talk = await exchange(script, form(language="de"), "durations")
    assert talk.status == 200 and json.loads(talk.body) == {"type": "duration", "seconds": 2.5}
    assert script.jobs[0].language == "de" and script.contents == [b"sound"]
    refused = await exchange(Script(TooLarge("Long.", code="audio_too_long")), form(), "durations")
    assert refused.status == 413 and json.loads(refused.body)["error"]["code"] == "audio_too_long"


@pytest.mark.parametrize("path", ["transcriptions", "durations"])
async def test_the_upload_is_closed_afterwards(path: str) -> None:
    for script in (Script(TRANSCRIPT), Script(InvalidAudio("no"))):
        await exchange(script, form(), path)
        assert script.jobs[0].file.closed


@pytest.mark.parametrize(
    ("problem", "status", "error"),
    [
        (
            InvalidAudio("No."),
            400,
            {"message": "No.", "type": "invalid_request_error", "param": "file", "code": None},
        ),
        (
            TooLarge("Long.", code="audio_too_long"),
            413,
            {"message": "Long.", "type": "server_error", "param": None, "code": "audio_too_long"},
        ),
        (
            RuntimeError("the secret inside"),
            500,
            {
                "message": "The engine met an error of its own.", "type": "server_error", "param": None,
                "code": "internal_error",
            },
        ),
    ],
)  # fmt: skip
async def test_an_error_has_a_status_before_the_first_event_and_is_an_event_after_it(
    problem: Exception, status: int, error: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    talk = await exchange(Script(problem), form())
    assert talk.status == status
    assert json.loads(talk.body) == {"error": error}
    talk = await exchange(Script(segment(0, " One"), problem), form())
    assert talk.status == 200
    assert talk.events()[-1] == {"error": error}
    assert "secret" not in caplog.text


@pytest.mark.parametrize("body", [form(None, model="m"), form(temperature="warm"), b"no form"])
async def test_an_unreadable_form_is_refused(body: bytes) -> None:
    talk = await exchange(Script(TRANSCRIPT), body)
    assert talk.status == 400
    assert set(json.loads(talk.body)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["transcriptions", "durations"])
async def test_the_work_ends_when_the_client_goes(path: str) -> None:
    script = Endless()
    app = create(script, 1)  # type: ignore[arg-type]
    talk = Exchange(f"/v1/audio/{path}", form())
    async with asyncio.timeout(10):
        task = asyncio.create_task(app(talk.scope, talk.incoming.get, talk.send))
        await asyncio.to_thread(script.working.wait, 5)
        talk.leave()
        await task
    assert script.ended.is_set()
    assert talk.status == ClientGone.status


async def test_one_too_many_waits_for_a_slot_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Endless()
    app = create(script, 1)  # type: ignore[arg-type]
    first, second, third = (Exchange("/v1/audio/transcriptions", form()) for _ in range(3))
    async with asyncio.timeout(10):
        running = asyncio.create_task(app(first.scope, first.incoming.get, first.send))
        await asyncio.to_thread(script.working.wait, 5)
        monkeypatch.setattr(speech_app, "WAIT_SECONDS", 0.05)
        await app(second.scope, second.incoming.get, second.send)
        assert second.status == 503 and json.loads(second.body)["error"]["code"] == "server_is_overloaded"
        monkeypatch.setattr(speech_app, "WAITING", 0)
        await app(third.scope, third.incoming.get, third.send)
        assert third.status == 503
        first.leave()
        await running
