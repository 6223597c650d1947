"""The speech engine's HTTP side, spoken as ASGI, on a real desk whose model hears what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.types import Message

import sounds
from antiphon.errors import InternalError
from antiphon.values import Word
from antiphon.wire.transcript_events import OpenedEvent
from antiphon.workers.speech import desk as speech_desk
from antiphon.workers.speech import recording as speech_recording
from antiphon.workers.speech.app import create
from antiphon.workers.speech.lanes import STUCK_SECONDS
from antiphon.workers.speech.schedule import Task
from antiphon.workers.speech.values import Heard
from speech_exchange import Exchange, form
from speech_house import WINDOWS, Answer, Desks, Ear, House, heard, silent_decoding
from until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "what was said"


def recording(file: bytes | None, path: str = "transcriptions", **fields: str) -> Exchange:
    return Exchange(f"/v1/audio/{path}", form(file, **{"model": "m", "organization": "ours"} | fields))


def start(id: str) -> Exchange:
    return Exchange(f"/v1/audio/recordings/{id}/start")


def application(house: House) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield

    return create(house.desk, lifespan)


def types(talk: Exchange) -> list[str]:
    return [event.get("type", "error") for event in talk.events]


WHOLE = ["transcript.opened", *["transcript.text.segment"] * WINDOWS, "transcript.text.done"]


async def test_segments_and_the_end_are_sent_as_events(fake: Desks, ear: Ear, clip: bytes) -> None:
    def answer(task: Task) -> Answer:
        [segment] = heard(task).segments
        words = [Word(f" {task.window.number}", 1.0, 2.0)]
        return Heard(segments=(msgspec.structs.replace(segment, words=words),), language="de")

    ear.answers = answer
    async with fake() as house:
        talk = await recording(clip).through(application(house))
    assert talk.status == 200 and talk.sent[-1]["more_body"] is False
    assert (b"content-type", b"text/event-stream") in talk.sent[0]["headers"]
    assert types(talk) == WHOLE
    opened, first, *_, done = talk.events
    seconds = done["duration"]
    assert opened == {
        "type": "transcript.opened", "id": opened["id"], "seconds": pytest.approx(seconds, abs=0.01),
        "expected": opened["expected"],
    }  # fmt: skip
    assert seconds == pytest.approx(12.71, abs=0.01) and opened["expected"] > 0
    # An id that the client can put into a path.
    msgspec.convert({**opened}, OpenedEvent)
    assert first == {
        "type": "transcript.text.segment", "id": 0, "seek": 0, "start": 0.0, "end": first["end"],
        "text": " window 0", "tokens": [1, 2], "temperature": 0.0, "avg_logprob": -0.5,
        "compression_ratio": 1.0, "no_speech_prob": 0.1,
        "words": [{"word": " 0", "start": 1.0, "end": 2.0}],
    }  # fmt: skip
    assert done == {
        "type": "transcript.text.done", "language": "de",
        "duration": seconds, "usage": {"type": "duration", "seconds": seconds},
    }  # fmt: skip


async def test_every_field_of_the_form_reaches_the_job(fake: Desks, ear: Ear, clip: bytes) -> None:
    fields = {
        "organization": "org_1", "language": "de", "prompt": "Guten Tag", "temperature": "0.4",
        "timestamp_granularities[]": "word",
    }  # fmt: skip
    async with fake() as house:
        app = application(house)
        await recording(clip, **fields).through(app)
        await recording(clip, "translations", language="", temperature="", hold="").through(app)
    first, second = (batch[0].job for batch in (ear.batches[0], ear.batches[-1]))
    assert (first.organization, first.model, first.task, first.language) == ("org_1", "m", "transcribe", "de")
    assert (first.prompt, first.temperature, first.words) == ("Guten Tag", 0.4, True)
    assert (second.organization, second.task, second.language) == ("ours", "translate", None)
    assert (second.prompt, second.temperature, second.words) == (None, 0.0, False)
    assert first.id != second.id


@pytest.mark.parametrize(
    ("file", "fields", "status", "error"),
    [
        (b"no sound", {}, 400, {"type": "invalid_request_error", "param": "file", "code": None}),
        (
            sounds.encode(sounds.tone(0.05)), {}, 400,
            {"type": "invalid_request_error", "param": "file", "code": "audio_too_short"},
        ),
        (
            sounds.encode(sounds.tone(31)), {}, 413,
            {"type": "server_error", "param": "file", "code": "audio_too_long"},
        ),
        (
            sounds.encode(sounds.tone(1)), {"model": "other"}, 400,
            {"type": "invalid_request_error", "param": "model", "code": None},
        ),
        (
            sounds.encode(sounds.tone(1)), {"language": "xx"}, 400,
            {"type": "invalid_request_error", "param": "language", "code": None},
        ),
    ],
    ids=["unreadable", "too short", "too long", "another model", "another language"],
)  # fmt: skip
async def test_what_is_wrong_with_a_recording_is_told_before_the_first_event(
    fake: Desks, file: bytes, fields: dict[str, str], status: int, error: dict[str, str | None]
) -> None:
    async with fake(seconds=30) as house:
        talk = await recording(file, **fields).through(application(house))
    assert talk.status == status
    assert {name: talk.error[name] for name in error} == error and talk.error["message"]


@pytest.mark.requirement("R15")
async def test_a_bug_of_ours_is_told_without_its_inside(
    fake: Desks, clip: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> float:
        raise RuntimeError(SECRET)

    async with fake() as house:
        monkeypatch.setattr(house.decoders, "scan", broken)
        talk = await recording(clip).through(application(house))
    assert talk.status == InternalError.status and talk.error["code"] == "internal_error"
    assert SECRET not in caplog.text + talk.body.decode()


async def test_an_error_after_the_first_event_is_the_last_event(
    fake: Desks, ear: Ear, clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    ear.answers = lambda task: RuntimeError(SECRET) if task.window.number == 2 else heard(task)
    async with fake() as house:
        talk = await recording(clip).through(application(house))
    assert talk.status == 200 and talk.sent[-1]["more_body"] is False
    assert types(talk) == ["transcript.opened", *["transcript.text.segment"] * 2, "error"]
    assert talk.events[-1]["error"]["type"] == "server_error" and talk.events[-1]["retry_after"] == 1
    assert SECRET not in caplog.text + talk.body.decode()


@pytest.mark.parametrize(
    "body",
    [
        form(None, model="m"),
        form(None, model="m", file="text"),
        form(b"sound"),
        form(b"sound", model=""),
        form(b"sound", model="m", temperature="warm"),
        form(b"sound", model="m", hold="perhaps"),
        b"no form",
    ],
)
async def test_an_unreadable_form_is_refused(fake: Desks, body: bytes) -> None:
    async with fake() as house:
        talk = await Exchange("/v1/audio/transcriptions", body).through(application(house))
    assert talk.status == 400
    assert set(talk.error) == {"message", "type", "param", "code"}


async def test_a_recording_that_is_held_waits_for_its_start(fake: Desks, ear: Ear, clip: bytes) -> None:
    async with fake() as house:
        app = application(house)
        talk = recording(clip, hold="true")
        work = asyncio.create_task(talk.through(app))
        await until(lambda: talk.sent and talk.events)
        # Another one passes meanwhile.
        assert types(await recording(clip).through(app)) == WHOLE
        assert types(talk) == WHOLE[:1] and {one for one, _ in ear.seen} != {talk.events[0]["id"]}
        assert len(ear.seen) == WINDOWS
        started = await start(talk.events[0]["id"]).through(app)
        assert started.status == 204 and started.body == b""
        await work
        assert types(talk) == WHOLE
        # It is over, and known no more.
        assert (await start(talk.events[0]["id"]).through(app)).status == 404


async def test_a_recording_that_is_not_started_in_time_is_given_up(
    fake: Desks, ear: Ear, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_recording, "HOLD_SECONDS", 0.05)
    async with fake() as house:
        talk = await recording(clip, hold="1").through(application(house))
    assert types(talk) == ["transcript.opened", "error"]
    assert talk.events[-1]["error"]["code"] == "timeout" and ear.batches == []


async def test_what_is_not_there_cannot_be_started(fake: Desks) -> None:
    async with fake() as house:
        for path in ("unknown", "..%2Fhealth"):
            talk = await start(path).through(application(house))
            assert talk.status == 404 and talk.error["type"] == "invalid_request_error"
        talk = await Exchange("/v1/audio/durations").through(application(house))
        assert talk.status == 404


async def test_beyond_the_slots_the_engine_is_busy(fake: Desks, clip: bytes) -> None:
    async with fake(slots=1) as house:
        app = application(house)
        held = [recording(clip, hold="true") for _ in range(1 + speech_desk.EXTRA)]
        work = [asyncio.create_task(one.through(app)) for one in held]
        await until(lambda: all(one.sent for one in held))
        late = await recording(clip).through(app)
        assert late.status == 503 and late.error["code"] == "server_is_overloaded"
        assert json.loads(late.body)["retry_after"] >= 1
        for one in held:
            one.leave()
        await asyncio.gather(*work)


async def test_health_is_that_of_the_lanes(
    fake: Desks, ear: Ear, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear.open.clear()
    async with fake() as house:
        app = application(house)
        healthy = await Exchange("/health", method="GET").through(app)
        assert (healthy.status, json.loads(healthy.body)) == (200, {"status": "ok", "unusable": []})
        monkeypatch.setattr(house.desk._transcriber, "unusable", frozenset({"broken"}))
        told = await Exchange("/health", method="GET").through(app)
        assert json.loads(told.body)["unusable"] == ["broken"]
        talk = recording(clip)
        work = asyncio.create_task(talk.through(app))
        await until(lambda: ear.batches)
        assert (await Exchange("/health", method="GET").through(app)).status == 200
        check = house.lanes.check
        monkeypatch.setattr(house.lanes, "check", lambda now: check(now + STUCK_SECONDS + 1))
        assert (await Exchange("/health", method="GET").through(app)).status == 503
        ear.open.set()
        await work


# Clients that leave. `fake` looks at the end whether anything is left of them.


async def gone(talk: Exchange, work: asyncio.Task[Exchange]) -> None:
    """Leave, and see that nothing more is told to somebody who is not there, and nothing is an error."""
    sent = len(talk.sent)
    talk.leave()
    await work
    assert len(talk.sent) == sent


@pytest.mark.parametrize("hold", ["true", "false"])
async def test_a_client_that_leaves_before_its_recording_is_opened(
    fake: Desks, clip: bytes, hold: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake() as house:
        free = house.decoders._free
        reached = silent_decoding(monkeypatch)
        talk = recording(clip, hold=hold)
        work = asyncio.create_task(talk.through(application(house)))
        await until(reached.is_set)
        assert not talk.sent and house.decoders._free == free - 1
        await gone(talk, work)
        await house.left_nothing()
        assert house.decoders._free == free
    assert caplog.records == []


async def test_a_client_that_leaves_while_it_is_held(
    fake: Desks, ear: Ear, clip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake() as house:
        app = application(house)
        talk = recording(clip, hold="true")
        work = asyncio.create_task(talk.through(app))
        await until(lambda: talk.sent and talk.events)
        await gone(talk, work)
        await house.left_nothing()
        assert (await start(talk.events[0]["id"]).through(app)).status == 404
        assert ear.batches == []
        assert types(await recording(clip).through(app)) == WHOLE
    assert caplog.records == []


async def test_clients_that_leave_while_a_batch_runs_and_while_they_are_queued(
    fake: Desks, ear: Ear, clip: bytes, long: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    ear.open.clear()
    async with fake() as house:
        app = application(house)
        running, queued, staying = recording(long, language="en"), recording(clip), recording(clip)
        first = asyncio.create_task(running.through(app))
        await until(lambda: ear.batches)
        second = asyncio.create_task(queued.through(app))
        await until(lambda: len(waiting(house)) == 2)
        await gone(queued, second)
        await gone(running, first)
        assert waiting(house) == []
        third = asyncio.create_task(staying.through(app))
        await until(lambda: waiting(house))
        ear.open.set()
        await third
        assert types(staying) == WHOLE
        await house.left_nothing()
    assert {id for id, _ in ear.seen} == {running.events[0]["id"], staying.events[0]["id"]}
    assert caplog.records == []


def waiting(house: House) -> list[str]:
    """Recordings of which windows wait for a lane."""
    return list(house.lanes._schedule.remaining())


async def test_a_client_that_leaves_in_the_middle_of_its_stream(
    fake: Desks, ear: Ear, long: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake() as house:
        talk = recording(long)
        left = asyncio.Event()

        async def send(message: Message) -> None:
            talk.sent.append(message)
            if len(talk.sent) == 5:
                talk.leave()
                await left.wait()

        await application(house)(talk.scope, talk.incoming.get, send)
        await house.left_nothing()
    assert len(talk.sent) == 5 and len(ear.seen) < 24
    assert caplog.records == []


async def test_a_server_that_stops_cancels_what_runs(fake: Desks, ear: Ear, clip: bytes) -> None:
    """And is told so, unlike when the client leaves."""
    ear.open.clear()
    async with fake() as house:
        work = asyncio.create_task(recording(clip).through(application(house)))
        await until(lambda: ear.batches)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        ear.open.set()
