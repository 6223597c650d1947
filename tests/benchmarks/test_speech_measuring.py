"""What is measured and how: clients, turns, clips on a clock, streams; against sides that answer at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from benchmarks.recordings import Recording
from benchmarks.speech import fair
from benchmarks.speech.house import model_folder
from benchmarks.speech.long_recording import SEED
from benchmarks.speech.memory import Peak, resident
from benchmarks.speech.plan import chosen, nearest, ordered
from benchmarks.speech.short import crowd
from benchmarks.speech.sides import Address, HttpSide
from benchmarks.speech.values import Answer

CLIPS = [
    Recording(Path(f"{number}.ogg"), seconds, language, f"text {number}")
    for number, (seconds, language) in enumerate(
        [(4.0, "en"), (5.5, "de"), (9.0, "en"), (60.0, "en"), (2.0, "fr"), (5.0, "de")]
    )
]


class Echo:
    """A side that answers a clip with its name, a turn of the loop later."""

    name = "echo"

    def __init__(self) -> None:
        self.now = self.most_at_once = 0
        self.asked: list[str] = []

    async def ready(self) -> None: ...

    async def transcribe(self, path: Path, *, stream: bool = False, mixed: bool = False) -> Answer:
        self.asked.append(path.name)
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return Answer(path.stem, 0.5, 0.25)

    async def processes(self) -> list[int]:
        return []

    async def close(self) -> None: ...


@pytest.mark.parametrize("clients", [1, 4, 16])
async def test_clients_send_every_clip_once(clients: int) -> None:
    side = Echo()
    found = await crowd(side, CLIPS, clients)
    assert [answer.text for answer in found.answers] == [clip.path.stem for clip in CLIPS]
    assert sorted(side.asked) == sorted(clip.path.name for clip in CLIPS)
    assert side.most_at_once == min(clients, len(CLIPS))


async def test_clips_are_sent_until_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair, "EVERY", (0.0, 0.001))
    more = iter([True, True, True, False])
    assert await fair.send(Echo(), Path("3.ogg"), lambda: next(more)) == [0.5] * 3


async def test_a_slow_side_is_not_sent_ever_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come only once as many clips wait as may, so the test ends only if that many are sent."""
    monkeypatch.setattr(fair, "EVERY", (0.0, 0.0001))
    full = asyncio.Event()

    class Slow(Echo):
        async def transcribe(self, path: Path, *, stream: bool = False, mixed: bool = False) -> Answer:
            self.now += 1
            self.most_at_once = max(self.most_at_once, self.now)
            if self.now == fair.MOST_AT_ONCE:
                full.set()
            await full.wait()
            self.now -= 1
            return Answer("", 1.0, 1.0)

    side, more = Slow(), iter([True] * 20)
    found = await fair.send(side, Path("3.ogg"), lambda: next(more, False))
    assert len(found) == 20 and side.most_at_once == fair.MOST_AT_ONCE


def test_the_longest_clip_is_sent_first() -> None:
    found = ordered(CLIPS)
    assert found[0].seconds == 60.0
    assert sorted(found, key=lambda clip: clip.path) == CLIPS
    assert found == ordered(CLIPS, SEED) != ordered(CLIPS, SEED + 1)


def test_a_quick_run_takes_the_first_of_each_language() -> None:
    assert [clip.path.stem for clip in chosen(CLIPS, 1)] == ["0", "1", "4"]
    assert chosen(CLIPS, None) == CLIPS


def test_the_nearest_clip_is_an_english_one() -> None:
    assert nearest(CLIPS, 5.0).seconds == 4.0
    assert nearest([clip for clip in CLIPS if clip.language != "en"], 5.0).seconds == 5.0


@pytest.mark.parametrize(
    ("value", "folder"),
    [("/m/base", "/m/base"), ("base-2022=/m/base", "/m/base"), ("base=/m/a=b", "/m/a=b"), ("/a=b", "/a=b")],
)
def test_the_model_is_found_in_the_engines_command(value: str, folder: str) -> None:
    assert model_folder(["python", "--model", value, "--threads", "2"]) == Path(folder)


async def test_memory_is_that_of_the_process_and_all_below_it() -> None:
    process = await asyncio.create_subprocess_exec("sh", "-c", "sleep 60 & wait")
    with Peak([process.pid]) as peak:
        pass
    alone = resident([process.pid])
    process.kill()
    await process.wait()
    assert peak.bytes > 0 and alone > 0
    assert resident([process.pid]) == 0


class Transcribing:
    """A server like OpenAI's; what it answers to a stream is given."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.events: list[bytes] = []
        self.status = 200

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.fields = {name: value for name, value in form.items() if isinstance(value, str)}
        file = form["file"]
        assert isinstance(file, web.FileField)
        self.fields["file"] = f"{file.filename} {file.file.read().decode()}"
        if "stream" not in self.fields:
            return web.json_response({"text": "some words"}, status=self.status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in self.events:
            await response.write(event)
        return response


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Transcribing, HttpSide, Path]]:
    fake = Transcribing()
    application = web.Application()
    application.router.add_post("/v1/audio/transcriptions", fake.transcribe)
    server = TestServer(application)
    await server.start_server()
    clip = tmp_path / "clip.ogg"
    clip.write_bytes(b"sound")

    async def address() -> Address:
        return Address(str(server.make_url("/v1")), "whisper-1", "sk-x")

    side = HttpSide("side", address, clip)
    await side.ready()
    yield fake, side, clip
    await side.close()
    await server.close()


Served = tuple[Transcribing, HttpSide, Path]


async def test_a_clip_is_sent_as_clients_of_openai_send_it(served: Served) -> None:
    fake, side, clip = served
    found = await side.transcribe(clip)
    assert (found.text, found.first) == ("some words", found.seconds) and found.seconds > 0
    assert fake.fields == {"model": "whisper-1", "response_format": "json", "file": "clip.ogg sound"}


async def test_a_stream_is_read_to_its_last_event(served: Served) -> None:
    fake, side, clip = served
    fake.events = [
        b'data: {"type":"transcript.text.delta","delta":" "}\n\n: a comment\n\ndata: {"type":"transcri',
        b'pt.text.delta","delta":"some"}\n\n',
        b'data: {"type":"transcript.text.done","text":"some words"}\n\n',
    ]
    found = await side.transcribe(clip, stream=True)
    assert found.text == "some words" and 0 < found.first <= found.seconds
    assert fake.fields["stream"] == "true"


@pytest.mark.parametrize("events", [[], [b'data: {"error":{"message":"it broke"}}\n\n']])
async def test_a_stream_that_breaks_off_is_an_error(served: Served, events: list[bytes]) -> None:
    fake, side, clip = served
    fake.events = events
    with pytest.raises(RuntimeError, match="the stream ended"):
        await side.transcribe(clip, stream=True)


async def test_a_refusal_is_an_error(served: Served) -> None:
    fake, side, clip = served
    fake.status = 429
    with pytest.raises(RuntimeError, match="side, clip.ogg: 429"):
        await side.transcribe(clip)


async def test_nothing_is_sent_once_the_recording_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair, "EVERY", (0.0, 0.001))
    side = Echo()
    assert await fair.send(side, Path("3.ogg"), lambda: False) == [] and side.asked == []
