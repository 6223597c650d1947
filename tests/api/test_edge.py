"""The outermost layer: who gets in, what everybody gets, how it drains, and the bounds of a connection."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from antiphon.admission.turnstile import EACH_ROUND, Turnstile
from antiphon.api.exchange import Exchange
from antiphon.api.protocol import BoundedProtocol
from antiphon.api.routes import Route
from antiphon.errors import RateLimited
from antiphon.ledger.ledger import Ledger
from antiphon.status.outcomes import PROBES
from antiphon.values import ChatJob, Delta, Usage
from service import CALLER, CHAT, KEY, ScriptedEngine, Service, serving

PUBLIC = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/api", "/docs/api.css"]


async def raw(service: Service, sent: bytes, seconds: float = 5) -> bytes:
    """What comes back for bytes sent as they are, until the connection is closed or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(sent)
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65536):
                received += piece
    except TimeoutError:
        pass
    finally:
        writer.close()
    return received


@pytest.mark.requirement("R13")
async def test_everything_needs_a_key_but_what_tells_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        document = (await service.call("GET", "/openapi.json"))[2]
        for path, methods in document["paths"].items():
            for method in methods:
                for key in ("", "Bearer", "Bearer ", "Basic abc", "Bearer sk-wrong", KEY):
                    headers = {"authorization": key}
                    status, answered, body = await service.call(
                        method.upper(), path.replace("{model}", "m"), headers=headers
                    )
                    if path in PUBLIC:
                        assert status == 200
                    else:
                        assert status == 401 and set(body["error"]) == {"message", "type", "param", "code"}
                        assert answered["www-authenticate"] == "Bearer"
        assert (await service.call("GET", "/anything", headers={"authorization": ""}))[0] == 401
        assert (await service.call("GET", f"/v1/models?api_key={KEY}", headers={"authorization": ""}))[
            0
        ] == 401


@pytest.mark.requirement("R1")
@pytest.mark.parametrize("host", ["", "evil", "localhost/healthz?", "a\tb", "[::1", "/healthz"])
async def test_the_host_header_decides_nothing(tmp_path: Path, host: str) -> None:
    async with serving(tmp_path) as service:
        request = f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        assert b" 200 " not in (await raw(service, request.encode()))[:20]


async def test_unknown_paths_and_methods(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        status, _, body = await service.call("POST", "/v1/nothing")
        wrong, _, hint = await service.call("DELETE", "/v1/models")
    assert status == 404 and body["error"]["message"] == "Invalid URL (POST /v1/nothing)"
    assert wrong == 405 and "use GET" in hint["error"]["message"]


async def test_models_and_their_names(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        listed = (await service.call("GET", "/v1/models"))[2]
        alias = (await service.call("GET", "/v1/models/gpt-3.5-turbo-0301"))[2]
        status, _, missing = await service.call("GET", "/v1/models/org%2Fmodel%3Atag")
    assert listed["object"] == "list" and {"gpt-3.5-turbo", "whisper-1", CHAT} <= {
        m["id"] for m in listed["data"]
    }
    assert alias["alias_of"] == CHAT and alias["stand_in"] is True and alias["object"] == "model"
    assert status == 404 and "'org/model:tag'" in missing["error"]["message"]


async def test_a_model_that_has_ended_names_what_to_use(tmp_path: Path) -> None:
    ended = {CHAT: {"shutdown": date(2020, 1, 1), "replacement": "whisper-1"}}
    async with serving(tmp_path, models={"snapshots": ended}) as service:
        status, _, body = await service.call("GET", f"/v1/models/{CHAT}")
    assert status == 404 and body["error"]["code"] == "model_not_found"
    assert "shut down on 2020-01-01. Use 'whisper-1' instead." in body["error"]["message"]


async def test_health_and_readiness(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        assert (await service.call("GET", "/healthz"))[2] == {"status": "ok"}
        status, _, state = await service.call("GET", "/readyz")
        assert status == 200 and state["deployments"][CHAT] == "ready"
        status, _, nothing = await service.call("HEAD", "/readyz", headers={"accept": "*/*"})
        assert status == 200
        service.pool.resize(0)
        status, _, state = await service.call("GET", "/readyz")
        assert status == 503 and state["status"] == "unavailable"
        assert (await service.call("GET", "/healthz"))[0] == 200


async def test_no_request_is_served_while_none_can_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as service:
        assert (await service.call("GET", "/readyz"))[0] == 200
        monkeypatch.setattr(Ledger, "ready", False)
        status, _, body = await service.call("GET", "/readyz")
        assert (status, body["status"]) == (503, "unavailable")
        assert (await service.call("GET", "/healthz"))[0] == 200


async def test_metrics_count_requests_tokens_and_sound(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await service.chat()
        text = (await service.call("GET", "/metrics"))[2]
    assert 'antiphon_requests_total{route="/v1/chat/completions",status="200"} 1.0' in text
    assert f'antiphon_tokens_total{{kind="completion",snapshot="{CHAT}"}} 2.0' in text
    assert f'antiphon_engine_slots{{snapshot="{CHAT}"}} 4.0' in text


async def test_metrics_may_ask_for_an_operator_s_key(tmp_path: Path) -> None:
    async with serving(tmp_path, public_metrics=False) as service:
        assert (await service.call("GET", "/metrics", headers={"authorization": ""}))[0] == 401
        assert (await service.call("GET", "/metrics"))[0] == 403


async def test_who_only_asks_how_the_server_is_drowns_nobody_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "antiphon.access")
    async with serving(tmp_path) as service:
        for path in ("/healthz", "/readyz", "/v1/models"):
            await service.call("GET", path)
        await service.call("GET", "/v1/models", headers={"authorization": f"Bearer sk-{PROBES}"})
    lines = [record.levelno for record in caplog.records if record.name == "antiphon.access"]
    assert lines == [logging.DEBUG, logging.DEBUG, logging.INFO, logging.DEBUG]


async def test_the_log_says_what_happened_and_nothing_of_what_was_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path) as service:
        _, headers, _ = await service.chat(messages=[{"role": "user", "content": "my riddle"}])
        await service.call("GET", "/v1/models/my-riddle")
    assert f"{headers['x-request-id']} POST /v1/chat/completions 200" in caplog.text
    assert "riddle" not in caplog.text and KEY not in caplog.text and "Hello" not in caplog.text


async def test_the_drain_refuses_new_requests_and_waits_for_running_ones(tmp_path: Path) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        begun.set()
        await finish.wait()
        yield Delta(0, "lo", (), "stop")
        yield Usage()

    async with serving(tmp_path, ScriptedEngine(script)) as service:
        running = asyncio.create_task(service.chat(stream=True))
        await asyncio.wait_for(begun.wait(), 5)
        draining = asyncio.create_task(service.edge.drain())
        await asyncio.sleep(0)
        assert (await service.call("GET", "/readyz"))[0] == 503
        status, headers, _ = await service.chat()
        assert status == 503 and int(headers["retry-after"]) >= 1
        assert (await service.call("GET", "/healthz"))[0] == 200
        finish.set()
        assert await asyncio.wait_for(draining, 5) is True
        assert (await running)[2].endswith("data: [DONE]\n\n")


async def test_who_leaves_refuses_nobody_and_lets_connections_close(tmp_path: Path) -> None:
    begin, go = asyncio.Event(), asyncio.Event()

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        begin.set()
        await go.wait()
        yield Delta(0, "Hello", (), "stop", 1)
        yield Usage(prompt_tokens=1, completion_tokens=1)

    get = b"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n"
    async with serving(tmp_path, ScriptedEngine(script)) as service:
        running = asyncio.create_task(service.chat())
        await begin.wait()
        before = await raw(service, get, 0.5)
        service.edge.leave()
        after = await raw(service, get + get)
        go.set()
        status, headers, _ = await running
        assert (status, headers["connection"]) == (200, "close")
        await asyncio.wait_for(service.edge.ended(), 5)
    assert b" 200 OK" in before and b"connection: close" not in before
    # The first answer says that it is the last one of its connection.
    assert after.count(b" 200 OK") == 1 and b"connection: close" in after


async def test_a_drain_has_an_end(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        yield Delta(0, "Hel")
        begun.set()
        await asyncio.sleep(3600)

    async with serving(tmp_path, ScriptedEngine(script), drain_seconds=0.1) as service:
        stream = asyncio.create_task(service.chat(stream=True))
        await asyncio.wait_for(begun.wait(), 5)
        whole = asyncio.create_task(service.chat())
        while service.engine.running < 2:
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(service.edge.drain(), 5) is False
        assert "shut down" in (await stream)[2] and "[DONE]" not in (await stream)[2]
        assert (await whole)[0] == 503
        assert service.engine.running == 0


async def test_a_full_queue_is_refused_with_advice(tmp_path: Path) -> None:
    async with serving(tmp_path, capacity=0, queue_per_organization=1) as service:
        waiting = asyncio.create_task(service.chat())
        while (
            'waiting_requests{snapshot="' + CHAT + '"} 1.0' not in (await service.call("GET", "/metrics"))[2]
        ):
            await asyncio.sleep(0.01)
        status, headers, body = await service.chat()
        assert status == 429 and body["error"]["code"] == "rate_limit_exceeded"
        assert int(headers["retry-after"]) >= 1
        assert headers["x-ratelimit-remaining-queued-requests"] == "0"
        waiting.cancel()


async def test_the_rate_is_shown_and_enforced(tmp_path: Path) -> None:
    async with serving(tmp_path, requests_per_minute=1) as service:
        _, first, _ = await service.chat()
        status, second, body = await service.chat()
        other = {"authorization": "Bearer sk-org-other"}
        elsewhere, _, _ = await service.call(
            "POST",
            "/v1/chat/completions",
            json={"model": CHAT, "messages": [{"role": "user", "content": "Hi"}]},
            headers=other,
        )
    assert first["x-ratelimit-remaining-requests"] == "0"
    assert status == 429 and body["error"]["type"] == "requests"
    assert 1 <= int(second["retry-after"]) <= 60 and second["x-ratelimit-limit-requests"] == "1"
    assert elsewhere == 200


# --- the connection ----------------------------------------------------------------------------------------


@pytest.mark.requirement("R14")
async def test_headers_past_the_bound(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        answer = await raw(service, b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 17_000 + b"\r\n\r\n")
        long_path = await raw(service, b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n")
        many = b"".join(b"x-%d: a\r\n" % i for i in range(3000))
        assert b" 431 " in (await raw(service, b"GET /healthz HTTP/1.1\r\n" + many + b"\r\n"))[:20]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["error"]["code"] == "headers_too_large"
    assert b" 431 " in long_path[:20]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_an_error_of_ours(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, header_seconds=1) as service:
        answer = await raw(service, sent)
    if answer:
        assert answer[9:12] in (b"400", b"401", b"404")
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]) == {
            "message",
            "type",
            "param",
            "code",
        }


async def test_slow_headers_are_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, header_seconds=0.2) as service:
        assert await raw(service, b"GET /healthz HTTP/1.1\r\nhost:") == b""


async def test_two_requests_on_one_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, header_seconds=1) as service:
        one = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
        last = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        assert (await raw(service, one + last)).count(b"200 OK") == 2


@pytest.mark.fault("a client does not read")
async def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        while True:
            await asyncio.sleep(0)
            yield Delta(0, "x" * 4096)

    async with serving(tmp_path, ScriptedEngine(script), send_seconds=0.3) as service:
        body = json.dumps({"model": CHAT, "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
        _, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        while not service.engine.jobs:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(service.engine.idle.wait(), 20)
        writer.close()


@pytest.mark.fault("a client reads a byte a second")
async def test_a_client_that_reads_a_byte_at_a_time_is_cut_off_and_its_buffer_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    pause = BoundedProtocol.pause_writing

    def watched(protocol: BoundedProtocol) -> None:
        held.append(protocol.transport.get_write_buffer_size())
        pause(protocol)

    monkeypatch.setattr(BoundedProtocol, "pause_writing", watched)
    begun = time.monotonic()

    async def script(job: ChatJob) -> AsyncGenerator[Delta | Usage, None]:
        if not job.stop:
            yield Delta(0, "short", (), "stop", 1)
            yield Usage(prompt_tokens=1, completion_tokens=1)
        while job.stop:
            await asyncio.sleep(0)
            yield Delta(0, "x" * 4096)

    async with serving(tmp_path, ScriptedEngine(script), send_seconds=0.5) as service:
        body = json.dumps(
            {"model": CHAT, "stream": True, "stop": "z", "messages": [{"role": "user", "content": "Hi"}]}
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        while not service.engine.jobs:
            await asyncio.sleep(0.01)
        while service.engine.running:
            await reader.read(1)
            assert (await service.chat())[0] == 200, "the neighbours are served"
            assert time.monotonic() - begun < 20
        writer.close()
    assert held and max(held) <= 256 * 1024


async def test_what_nobody_waits_for_is_cancelled_though_it_came_without_a_body(tmp_path: Path) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    route = Route(method="GET", path="/v1/slow", needs="models", handler=slow, summary="Never answer.")
    async with serving(tmp_path, admin=[route]) as service:
        _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(f"GET /v1/slow HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            await begun.wait()
            writer.close()
            await cancelled.wait()


async def test_a_refused_upload_is_answered_though_it_was_not_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        content = b"x" * 3_000_000
        request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(
            content
        )
        assert b" 401 " in (await raw(service, request + content, seconds=1))[:20]


async def test_who_has_too_much_waiting_is_refused_unread_while_there_is_no_time(tmp_path: Path) -> None:
    """And another organization is not, nor is one whose turn came at once."""
    seconds = count()
    broken: dict[str, Any] = {"data": b"{", "headers": {"content-type": "application/json"}}
    async with serving(tmp_path, capacity=0, queue_per_organization=1) as service:
        waiting = asyncio.create_task(service.chat())
        async with asyncio.timeout(10):
            while (
                f'waiting_requests{{snapshot="{CHAT}"}} 1' not in (await service.call("GET", "/metrics"))[2]
            ):
                await asyncio.sleep(0.01)
        edge = service.edge
        edge._turns = Turnstile(clock=lambda: float(next(seconds)))
        assert (await service.call("POST", "/v1/chat/completions", **broken))[0] == 400, "it is read"
        crowd = [asyncio.create_task(edge._turn(CALLER)) for _ in range(EACH_ROUND + 2)]
        other = msgspec.structs.replace(CALLER, organization_id="org-2")
        crowd.append(asyncio.create_task(edge._turn(other)))
        found = await asyncio.gather(*crowd, return_exceptions=True)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert found[:EACH_ROUND] == [None] * EACH_ROUND and found[-1] is None
    assert all(isinstance(one, RateLimited) and one.retry_after == 1 for one in found[EACH_ROUND:-1])
