"""`Idempotency-Key`: one answer and one charge, however often a request is sent."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from antiphon.api import idempotency, recording
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import Idempotency
from antiphon.api.recording import Answers, Entry
from antiphon.errors import EngineFailed, InvalidRequest, StorageFull, Unavailable
from antiphon.ledger.claims import Claim, Ended, InFlight, Mismatch, New
from antiphon.ledger.journal import Journal
from antiphon.ledger.meter import Bill
from antiphon.ledger.records import Record, Settle
from antiphon.settings import Settings
from antiphon.values import Caller, ChatJob, Delta, Segment, SpeechJob, Transcript, Usage
from service import CALLER, OneKey, ScriptedEngine, Service, billed, hello, serving

KEY = {"idempotency-key": "one"}
MESSAGES = [{"role": "user", "content": "Say hello"}]


async def chat(service: Service, headers: dict[str, str] = KEY, **fields: Any) -> tuple[int, Any, Any]:
    body = {"model": "gpt-3.5-turbo", "messages": MESSAGES, **fields}
    return await service.call("POST", "/v1/chat/completions", json=body, headers=headers)


def form(sound: bytes = b"sound", **fields: str) -> aiohttp.FormData:
    """A form; each has a boundary of its own."""
    data = aiohttp.FormData()
    for name, value in {"model": "whisper-1", **fields}.items():
        data.add_field(name, value)
    data.add_field("file", sound, filename="a.wav")
    return data


class Gated:
    """A script that waits in its midst for `finish`; `begun` says that it is there."""

    def __init__(self) -> None:
        self.begun, self.finish = asyncio.Event(), asyncio.Event()

    async def __call__(self, job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel", completion_tokens=1)
        self.begun.set()
        await self.finish.wait()
        yield Delta(0, "lo", (), "stop", 2)
        yield Usage(prompt_tokens=2, completion_tokens=2)


@pytest.mark.fault("a request is sent twice")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_retry_gets_the_first_answer_and_is_not_charged(tmp_path: Path, stream: bool) -> None:
    async with serving(tmp_path) as service:
        status, first_headers, first = await chat(service, stream=stream)
        again, headers, second = await chat(service, stream=stream)
    assert (status, again) == (200, 200) and first == second
    assert "idempotent-replayed" not in first_headers and headers["idempotent-replayed"] == "true"
    assert headers["content-type"] == first_headers["content-type"]
    assert headers["x-request-id"] != first_headers["x-request-id"]
    assert len(service.engine.jobs) == 1 and len(await billed(tmp_path)) == 1


@pytest.mark.parametrize("path", ["transcriptions", "translations"])
async def test_a_recording_is_known_again_by_its_fields_and_its_sound(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path) as service:

        async def send(data: aiohttp.FormData) -> tuple[int, Any, Any]:
            return await service.call("POST", f"/v1/audio/{path}", data=data, headers=KEY)

        _, _, first = await send(form(response_format="srt"))
        status, headers, second = await send(form(response_format="srt"))
        other_fields = await send(form(response_format="vtt"))
        other_sound = await send(form(b"noise", response_format="srt"))
    assert status == 200 and first == second and headers["idempotent-replayed"] == "true"
    assert len(await billed(tmp_path)) == 1
    for refused, _, body in (other_fields, other_sound):
        assert refused == 400 and body["error"]["code"] == "idempotency_key_in_use"
    assert not list((tmp_path / "uploads").iterdir())


async def test_the_path_of_2023_takes_keys_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        path = "/v1/engines/gpt-3.5-turbo/chat/completions"
        for _ in range(2):
            status, headers, _ = await service.call("POST", path, json={"messages": MESSAGES}, headers=KEY)
    assert status == 200 and headers["idempotent-replayed"] == "true"
    assert len(await billed(tmp_path)) == 1


async def test_a_key_is_for_one_request_of_one_project(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await chat(service)
        other, _, body = await chat(service, max_tokens=5)
        foreign, headers, _ = await chat(service, KEY | {"authorization": "Bearer sk-org-b"}, max_tokens=5)
    assert (other, body["error"]["code"], body["error"]["param"]) == (
        400,
        "idempotency_key_in_use",
        "Idempotency-Key",
    )
    assert foreign == 200 and "idempotent-replayed" not in headers


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
async def test_what_cannot_be_a_key_is_refused(tmp_path: Path, key: str) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await chat(service, {"idempotency-key": key})
        longest, _, _ = await chat(service, {"idempotency-key": "x" * 255})
    assert (status, body["error"]["code"]) == (400, "invalid_idempotency_key")
    assert longest == 200


@pytest.mark.fault("a request is sent twice at once")
@pytest.mark.parametrize("stream", [False, True])
async def test_those_in_flight_wait_for_the_first(tmp_path: Path, stream: bool) -> None:
    gated = Gated()
    async with serving(tmp_path, ScriptedEngine(gated)) as service:
        asking = [asyncio.create_task(chat(service, stream=stream)) for _ in range(20)]
        await asyncio.wait_for(gated.begun.wait(), 5)
        gated.finish.set()
        answers = await asyncio.gather(*asking)
    assert {status for status, _, _ in answers} == {200}
    assert all(body == answers[0][2] for _, _, body in answers)
    assert sum("idempotent-replayed" in headers for _, headers, _ in answers) == 19
    assert len(await billed(tmp_path)) == 1


async def test_an_error_is_not_kept(tmp_path: Path) -> None:
    tries: list[ChatJob] = []

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        tries.append(job)
        if len(tries) == 1:
            raise EngineFailed("The engine broke off.")
        async for piece in hello(job):
            yield piece

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        failed, _, body = await chat(service)
        status, headers, _ = await chat(service)
    assert (failed, body["error"]["code"]) == (503, "engine_failed")
    assert status == 200 and "idempotent-replayed" not in headers
    assert sorted(row.status for row in await billed(tmp_path)) == ["settled", "voided"]


async def test_a_stream_that_broke_off_is_paid_once_and_told_again(tmp_path: Path) -> None:
    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel", completion_tokens=1)
        raise EngineFailed("The engine broke off.")

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        _, _, first = await chat(service, stream=True)
        _, headers, second = await chat(service, stream=True)
    assert first == second and "engine_failed" in first and "[DONE]" not in first
    [paid] = await billed(tmp_path)
    assert headers["idempotent-replayed"] == "true" and paid.output_tokens == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_with_a_key_goes_on_when_its_client_is_gone(tmp_path: Path, stream: bool) -> None:
    gated = Gated()
    async with serving(tmp_path, ScriptedEngine(gated)) as service:
        asking = asyncio.create_task(chat(service, stream=stream))
        await asyncio.wait_for(gated.begun.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        retry = asyncio.create_task(chat(service, stream=stream))
        gated.finish.set()
        status, headers, body = await retry
    text = body if stream else body["choices"][0]["message"]["content"]
    assert status == 200 and headers["idempotent-replayed"] == "true" and "lo" in text
    [paid] = await billed(tmp_path)
    assert (paid.status, paid.output_tokens) == ("settled", 2)


@pytest.mark.fault("a request of a killed process was sent before")
async def test_after_a_restart_the_answer_is_gone_and_the_charge_is_known(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await chat(service)
    async with serving(tmp_path) as service:
        status, _, body = await chat(service)
        other, _, mismatch = await chat(service, max_tokens=5)
        new, _, _ = await chat(service, {"idempotency-key": "two"})
    assert len(await billed(tmp_path)) == 2
    assert (status, body["error"]["code"]) == (400, "idempotency_result_expired")
    assert (other, mismatch["error"]["code"]) == (400, "idempotency_key_in_use")
    assert new == 200


async def test_an_answer_too_long_to_keep_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_ANSWER_BYTES", 1000)
    async with serving(tmp_path) as service:
        first, _, body = await chat(service, stream=True, n=4)
        status, _, refused = await chat(service, stream=True, n=4)
    assert first == 200 and body.endswith("[DONE]\n\n")
    assert (status, refused["error"]["code"]) == (400, "idempotency_result_expired")
    [paid] = await billed(tmp_path)
    assert paid.output_tokens == 8


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("task", ["chat", "speech"])
async def test_what_was_charged_before_it_failed_is_not_charged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, stream: str
) -> None:
    settle = Bill.settle

    async def late(bill: Bill, usage: Usage) -> None:
        await settle(bill, usage)
        raise Unavailable("The disk was too slow to say so.")

    async def silent(job: SpeechJob) -> AsyncGenerator[Segment | Transcript, None]:
        yield Transcript(language="en", duration=1.0, usage=Usage(seconds=1.0))

    async def mute(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Usage(prompt_tokens=2, completion_tokens=0)

    monkeypatch.setattr(Bill, "settle", late)
    async with serving(tmp_path, ScriptedEngine(mute, silent)) as service:

        async def send() -> tuple[int, Any, Any]:
            if task == "chat":
                return await chat(service, stream=stream == "true")
            data = form(stream=stream)
            return await service.call("POST", "/v1/audio/transcriptions", data=data, headers=KEY)

        failed, _, _ = await send()
        retried, _, body = await send()
    assert (failed, retried) == (503, 400) and body["error"]["code"] == "idempotency_result_expired"
    [paid] = await billed(tmp_path)
    assert paid.status == "settled"


async def test_a_settlement_without_space_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, left = Journal._store, [StorageFull("Full.")]

    def fails(journal: Journal, records: Sequence[Record]) -> None:
        if left and any(isinstance(record, Settle) for record in records):
            raise left.pop()
        store(journal, records)

    monkeypatch.setattr(Journal, "_store", fails)
    async with serving(tmp_path) as service:
        assert [(await chat(service))[0] for _ in range(2)] == [507, 200]
    assert sorted(row.status for row in await billed(tmp_path)) == ["settled", "voided"]


class Changing(OneKey):
    """The caller of the key is what a test says."""

    caller = CALLER

    async def authenticate(self, token: str) -> Caller:
        return self.caller


async def test_an_erasure_takes_the_answer_from_retries_and_is_charged_to_nobody(tmp_path: Path) -> None:
    """Nor is what came to its end only afterwards, and what was asked later is as it was."""
    keys = Changing()
    gated = Gated()
    async with serving(tmp_path, ScriptedEngine(gated), authenticator=keys) as service:
        gated.finish.set()
        assert (await chat(service))[0] == 200
        gated.finish.clear()
        gated.begun.clear()
        running = asyncio.create_task(chat(service, {"idempotency-key": "two"}))
        await asyncio.wait_for(gated.begun.wait(), 5)
        keys.caller = msgspec.structs.replace(CALLER, erased_at=int(time.time()) + 1)
        waiting = asyncio.create_task(chat(service, {"idempotency-key": "two"}))
        gated.finish.set()
        assert (await running)[0] == 200
        for status, _, body in (await chat(service), await waiting):
            assert (status, body["error"]["code"]) == (400, "idempotency_result_expired")
        keys.caller = msgspec.structs.replace(CALLER, erased_at=int(time.time()) - 10)
        for replayed in (None, "true"):
            status, headers, _ = await chat(service, {"idempotency-key": "three"})
            assert status == 200 and headers.get("idempotent-replayed") == replayed
    assert len(await billed(tmp_path)) == 3


async def test_where_nothing_is_kept_a_retry_has_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = KEY | {"antiphon-retention": "zero_data_retention"}
    async with serving(tmp_path) as service:
        assert [(await chat(service, strict))[1].get("idempotent-replayed") for _ in range(2)] == [
            None,
            "true",
        ]
        monkeypatch.setattr(recording, "ZERO_SECONDS", 0.0)
        status, _, body = await chat(service, strict)
        assert (status, body["error"]["code"]) == (400, "idempotency_result_expired")
    assert len(await billed(tmp_path)) == 1


class Claims:
    """Answers `claim` as it was told; `dropped` and `ended` hold what was. `fails` makes both fail."""

    def __init__(self, *answers: Claim | Exception) -> None:
        self.answers = list(answers)
        self.claimed: list[str] = []
        self.dropped: list[str] = []
        self.ended: list[str] = []
        self.fails = False

    async def claim(self, digest: bytes, fingerprint: bytes, request_id: str) -> Claim:
        self.claimed.append(request_id)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def end(self, digest: bytes, request_id: str) -> None:
        self._check()
        self.ended.append(request_id)

    async def drop(self, digest: bytes, request_id: str) -> None:
        self._check()
        self.dropped.append(request_id)

    def _check(self) -> None:
        if self.fails:
            raise Unavailable("The database is away.")


def exchange(key: str = "one", sent: list[Any] | None = None) -> Exchange:
    """A request on a connection that takes everything, and leaves it in `sent`."""

    async def send(message: Any) -> None:
        if sent is not None:
            sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [(b"idempotency-key", key.encode())]
    scope = {"method": "POST", "path": "/v1/x", "query_string": b"", "headers": headers}

    def no_headers(caller: Caller, standing: Any) -> dict[str, str]:
        return {}

    made = Exchange(scope, receive, send, Settings(), no_headers)
    made.caller = CALLER
    return made


async def answered(desk: Idempotency, key: str = "one", *, fails: Exception | None = None) -> Exchange:
    return await answering(desk, exchange(key), fails=fails)


async def answering(desk: Idempotency, asked: Exchange, *, fails: Exception | None = None) -> Exchange:
    async def work() -> None:
        if fails:
            raise fails
        await asked.answer(b"{}")

    await desk.answer(asked, [b"body"], work)
    return asked


async def test_a_request_in_another_process_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "LOOK_SECONDS", 0.0)
    assert (await answered(Idempotency(Claims(InFlight("a"), InFlight("a"), New())))).status == 200
    with pytest.raises(InvalidRequest) as expired:
        await answered(Idempotency(Claims(InFlight("a"), Ended("a"))))
    assert expired.value.code == "idempotency_result_expired"
    with pytest.raises(InvalidRequest) as used:
        await answered(Idempotency(Claims(Mismatch())))
    assert used.value.code == "idempotency_key_in_use"


async def test_the_wait_for_another_process_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(Unavailable) as refused:
        await answered(Idempotency(Claims(InFlight("a"))))
    assert refused.value.retry_after


async def test_the_wait_for_the_first_request_here_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A streamed hour may take longer than any retry should wait."""
    desk, go = Idempotency(Claims(New())), asyncio.Event()
    first = exchange("one")

    async def work() -> None:
        await go.wait()
        await first.answer(b"{}")

    running = asyncio.create_task(desk.answer(first, [b"body"], work))
    await asyncio.sleep(0.1)
    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(Unavailable) as refused:
        await answered(desk)
    assert refused.value.retry_after
    go.set()
    await running
    assert first.status == 200


async def test_a_key_that_could_not_be_freed_is_freed_by_the_next_try() -> None:
    claims = Claims(New(), New())
    desk = Idempotency(claims)
    claims.fails = True
    with pytest.raises(EngineFailed):
        await answered(desk, fails=EngineFailed("The engine broke off."))
    [had_it] = claims.claimed
    with pytest.raises(Unavailable):
        await answered(desk)
    assert claims.dropped == []
    claims.fails = False
    assert (await answered(desk)).status == 200
    assert claims.dropped == [had_it]


async def test_a_claim_that_fails_is_an_error_and_may_be_tried_again() -> None:
    desk = Idempotency(Claims(StorageFull("Full."), New()))
    with pytest.raises(StorageFull):
        await answered(desk)
    assert (await answered(desk)).status == 200


async def test_an_end_that_cannot_be_recorded_harms_no_answer() -> None:
    claims = Claims(New())
    claims.fails = True
    desk = Idempotency(claims)
    first, second = await answered(desk), await answered(desk)
    assert (first.status, second.status) == (200, 200)
    assert second.answer_headers == {"idempotent-replayed": "true"}


async def test_an_end_that_could_not_be_recorded_is_recorded_with_the_next() -> None:
    claims = Claims(New(), New(), New())
    desk = Idempotency(claims)
    claims.fails = True
    await answered(desk, "one")
    with pytest.raises(EngineFailed):
        await answered(desk, "two", fails=EngineFailed("The engine broke off."))
    claims.fails = False
    await answered(desk, "three")
    first, _, third = claims.claimed
    assert claims.ended == [third, first] and claims.dropped == []


async def test_a_key_whose_end_could_not_be_recorded_stays_used() -> None:
    """Even for a retry in this process, once it has forgotten the answer."""
    claims, answers = Claims(New(), Ended("a")), Answers()
    desk = Idempotency(claims, answers)
    asked = exchange()

    async def work() -> None:
        assert asked.recording is not None
        asked.recording.charged = lambda: True
        claims.fails = True
        raise EngineFailed("The engine broke off.")

    with pytest.raises(EngineFailed):
        await desk.answer(asked, [b"body"], work)
    claims.fails = False
    with pytest.raises(InvalidRequest) as refused:
        await answered(desk)
    assert refused.value.code == "idempotency_result_expired"
    assert claims.ended == [asked.id]


class Crowded(Claims):
    """Every claim waits for `go`; `most` is how many did at once, and `full` that enough do."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.full = asyncio.Event(), asyncio.Event()
        self.now = self.most = 0

    async def claim(self, digest: bytes, fingerprint: bytes, request_id: str) -> Claim:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == idempotency.AT_ONCE:
            self.full.set()
        await self.go.wait()
        self.now -= 1
        return New()


async def test_few_claims_are_written_at_once_and_the_wait_for_it_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claims = Crowded()
    desk = Idempotency(claims)
    asked = [exchange(f"key {number}") for number in range(20)]
    asking = [asyncio.create_task(answering(desk, each)) for each in asked]
    await asyncio.wait_for(claims.full.wait(), 5)
    async with asyncio.timeout(5):
        while not all(each.persists for each in asked):  # all stand in line, under the usual deadline
            await asyncio.sleep(0.01)
    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "TURN_SECONDS", 0.0)
        with pytest.raises(Unavailable) as refused:
            await answered(desk, "late")
    assert refused.value.retry_after
    claims.go.set()
    assert {found.status for found in await asyncio.gather(*asking)} == {200}
    assert claims.most == idempotency.AT_ONCE


async def test_a_kept_stream_is_sent_in_pieces() -> None:
    """So that a client that does not read is waited for, and not written for into memory."""
    frame = b"data: " + b"x" * 1000 + b"\n\n"
    first, sent = exchange(), list[Any]()
    desk = Idempotency(Claims(New()))

    async def work() -> None:
        for _ in range(200):
            await first.write(frame)
        await first.end()

    await desk.answer(first, [b"body"], work)
    await desk.answer(exchange(sent=sent), [b"body"], work)
    bodies = [message["body"] for message in sent if message["type"] == "http.response.body"]
    assert b"".join(bodies) == frame * 200
    assert max(map(len, bodies)) == idempotency.PIECE


class Sought(Answers):
    """`found` is set once somebody has found an entry."""

    def __init__(self) -> None:
        super().__init__()
        self.found = asyncio.Event()

    def find(self, digest: bytes) -> Entry | None:
        entry = super().find(digest)
        if entry:
            self.found.set()
        return entry


@pytest.mark.parametrize(
    ("end", "told"), [(EngineFailed("The engine broke off."), EngineFailed), (None, Unavailable)]
)
async def test_who_waits_is_told_why_there_is_no_answer(end: Exception | None, told: type[Exception]) -> None:
    """Without `end`, the server shuts down."""
    answers, begun, finish = Sought(), asyncio.Event(), asyncio.Event()
    desk = Idempotency(Claims(New()), answers)

    async def work() -> None:
        begun.set()
        await finish.wait()
        assert end is not None
        raise end

    first = asyncio.create_task(desk.answer(exchange(), [b"body"], work))
    await asyncio.wait_for(begun.wait(), 5)
    second = asyncio.create_task(answered(desk))
    await asyncio.wait_for(answers.found.wait(), 5)
    if end is None:
        first.cancel()
    finish.set()
    with pytest.raises(told if end else asyncio.CancelledError):
        await first
    with pytest.raises(told):
        await asyncio.wait_for(second, 5)


async def test_an_answer_that_nobody_can_be_given_any_more_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long to keep, and its client gone: what was handed over is paid, and no more is generated."""
    monkeypatch.setattr(recording, "MOST_ANSWER_BYTES", 1000)
    begun = asyncio.Event()

    async def endless(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        for count in itertools.count(1):
            yield Delta(0, "word ", completion_tokens=count)
            if count == 10:
                begun.set()
            await asyncio.sleep(0.001)

    async with serving(tmp_path, ScriptedEngine(endless)) as service:
        asking = asyncio.create_task(chat(service, stream=True))
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        await asyncio.wait_for(service.engine.idle.wait(), 5)
    [paid] = await billed(tmp_path)
    assert paid.status == "settled" and paid.output_tokens >= 10
