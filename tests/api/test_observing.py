"""What whoever watches requests is told: of every one that was taken, once, whatever became of its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from antiphon.api import exchange
from antiphon.errors import EngineFailed
from antiphon.moderation.texts import pieces
from antiphon.values import Caller, ChatJob, Delta, Observation, Segment, SpeechJob, Transcript, Usage
from observations import Watcher
from service import CALLER, CHAT, SPEECH, ScriptedEngine, Service, hello, serving, spoken
from until import until


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


async def transcribe(service: Service, task: str = "transcriptions", **fields: str) -> tuple[int, Any, Any]:
    form = aiohttp.FormData({"model": "whisper-1", **fields})
    form.add_field("file", b"sound", filename="talk.wav")
    return await service.call("POST", f"/v1/audio/{task}", data=form)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_is_told_as_it_was_asked_and_as_one_that_is_not_streamed(
    tmp_path: Path, watcher: Watcher, stream: bool
) -> None:
    async with serving(tmp_path, observers=[watcher]) as service:
        status, headers, body = await service.chat(stream=stream, n=2)
    seen = watcher.only
    assert status == 200 and seen.whole and seen.request_id == headers["x-request-id"]
    assert (seen.caller, seen.kind, seen.snapshot, seen.recording) == (CALLER, "chat", CHAT, None)
    assert json.loads(seen.asked)["messages"] == [{"role": "user", "content": "Say hello"}]
    answered = json.loads(seen.answered)
    assert [choice["message"]["content"] for choice in answered["choices"]] == ["Hello you"] * 2
    assert answered["usage"]["completion_tokens"] == 4
    first = body if not stream else json.loads(body.partition("\n")[0].removeprefix("data: "))
    assert [answered[name] for name in ("id", "created", "model")] == [
        first[name] for name in ("id", "created", "model")
    ]
    assert stream or answered == body


async def test_of_recordings_in_messages_it_is_told_what_they_say(tmp_path: Path, watcher: Watcher) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "c291bmQ=", "format": "wav"}}
    parts = [{"type": "text", "text": "What is said here?"}, sound]
    async with serving(tmp_path, observers=[watcher]) as service:
        status, _, _ = await service.chat(messages=[{"role": "user", "content": parts}])
    assert status == 200 and watcher.only.heard == {"messages[0].content[1]": "Hello."}
    assert [one.text for one in pieces(watcher.only)] == ["Hello you", "Hello.", "What is said here?"]


async def test_of_what_is_broken_off_it_is_told_what_came(tmp_path: Path, watcher: Watcher) -> None:
    async def breaks(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Half", completion_tokens=1)
        raise EngineFailed("The engine failed.")

    async with serving(tmp_path, ScriptedEngine(breaks), observers=[watcher]) as service:
        await service.chat(stream=True)
    assert not watcher.only.whole
    assert json.loads(watcher.only.answered)["choices"][0]["message"]["content"] == "Half"


async def test_of_what_nobody_waits_for_any_more_as_well(tmp_path: Path, watcher: Watcher) -> None:
    async def endless(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Begun", completion_tokens=1)
        await asyncio.Event().wait()

    async with serving(tmp_path, ScriptedEngine(endless), observers=[watcher]) as service:
        asking = asyncio.create_task(service.chat(stream=True))
        await until(lambda: service.engine.running)
        asking.cancel()
        await until(lambda: watcher.told)
    assert not watcher.only.whole and b"Begun" in watcher.only.answered


async def test_what_was_never_taken_is_not_told(tmp_path: Path, watcher: Watcher) -> None:
    async with serving(tmp_path, observers=[watcher]) as service:
        assert (await service.chat(temperature=9))[0] == 400
        assert (await service.chat(model="unknown"))[0] == 404
    assert watcher.told == []


async def test_of_a_completion_that_has_not_begun_nothing_came(tmp_path: Path, watcher: Watcher) -> None:
    async def breaks(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        raise EngineFailed("The engine failed.")
        yield Usage()

    async with serving(tmp_path, ScriptedEngine(breaks), observers=[watcher]) as service:
        assert (await service.complete(n=2))[0] == 503
    answered = json.loads(watcher.only.answered)
    assert [choice["text"] for choice in answered["choices"]] == ["", ""]


async def test_a_completion(tmp_path: Path, watcher: Watcher) -> None:
    async with serving(tmp_path, observers=[watcher]) as service:
        _, _, body = await service.complete(echo=True)
    assert watcher.only.kind == "completion" and json.loads(watcher.only.answered) == body


@pytest.mark.parametrize(
    ("task", "kind"), [("transcriptions", "transcription"), ("translations", "translation")]
)
@pytest.mark.parametrize("stream", ["false", "true"])
async def test_a_recording_is_there_when_it_is_told(
    tmp_path: Path, watcher: Watcher, task: str, kind: str, stream: str
) -> None:
    fields = {"stream": stream, "prompt": "Antiphon"} if task == "transcriptions" else {"prompt": "Antiphon"}
    async with serving(tmp_path, observers=[watcher]) as service:
        status, _, _ = await transcribe(service, task, **fields)
    seen = watcher.only
    assert (status, seen.kind, seen.snapshot, seen.whole) == (200, kind, SPEECH, True)
    assert watcher.recordings == [b"sound"]
    assert seen.recording is not None and not seen.recording.exists()
    assert json.loads(seen.asked)["prompt"] == "Antiphon"
    answered = json.loads(seen.answered)
    assert answered["text"] == "Hello." and len(answered["segments"]) == 1


async def test_of_a_transcript_that_is_broken_off_it_is_told_the_text(
    tmp_path: Path, watcher: Watcher
) -> None:
    async def breaks(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        async for piece in spoken(job):
            if isinstance(piece, Segment):
                yield piece
        raise EngineFailed("The engine failed.")

    async with serving(tmp_path, ScriptedEngine(speech=breaks), observers=[watcher]) as service:
        await transcribe(service, stream="true")
    assert not watcher.only.whole and json.loads(watcher.only.answered) == {"text": "Hello."}


async def test_a_retry_is_not_told_again(tmp_path: Path, watcher: Watcher) -> None:
    async with serving(tmp_path, observers=[watcher]) as service:
        body = {"model": CHAT, "messages": [{"role": "user", "content": "Hi"}]}
        for _ in range(2):
            headers = {"idempotency-key": "one"}
            await service.call("POST", "/v1/chat/completions", json=body, headers=headers)
    assert watcher.only.whole


async def test_who_does_not_want_to_know_is_not_told(tmp_path: Path) -> None:
    wants, does_not = Watcher(), Watcher(wants=False)
    async with serving(tmp_path, ScriptedEngine(hello), observers=[does_not, wants]) as service:
        await service.chat()
    assert len(wants.told) == 1 and does_not.told == []


class Watch:
    """Promises something that it does once it is told to."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.promised: list[asyncio.Future[None]] = []

    def wants(self, caller: Caller) -> bool:
        return True

    def observe(self, seen: Observation) -> asyncio.Future[None] | None:
        self.seen.append(seen)
        self.promised.append(asyncio.get_running_loop().create_future())
        return self.promised[-1]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_of_an_answer_waits_for_what_was_promised(tmp_path: Path, stream: bool) -> None:
    watch = Watch()
    async with serving(tmp_path, observers=[watch]) as service:
        answering = asyncio.create_task(service.chat(stream=stream))
        async with asyncio.timeout(10):
            while not watch.promised:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert not answering.done()
        watch.promised[0].set_result(None)
        assert (await answering)[0] == 200
    assert watch.seen[0].whole


async def test_a_promise_that_is_not_kept_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "SETTLE_SECONDS", 0.05)
    async with serving(tmp_path, observers=[Watch()]) as service:
        async with asyncio.timeout(5):
            assert (await service.chat())[0] == 200
