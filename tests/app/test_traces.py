"""Traces of real requests; and what is in no trace, no log line and no metric."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from antiphon.app import edge as edges
from antiphon.app import running, traces
from antiphon.app.traces import exporting, tracing
from antiphon.cli.logs import Json
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.spans import Span, Way
from service import CHAT, KEY, SPEECH, Service, serving

CANARY = "c4n4ry"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GRAFANA = Path(__file__).parents[2] / "docs" / "grafana.json"


@pytest.fixture
async def spans(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InMemorySpanExporter]:
    """What was traced in this test, by a service that is traced."""
    exporter = InMemorySpanExporter()
    async with exporting(SimpleSpanProcessor(exporter)) as trace:
        monkeypatch.setattr("service.Around", partial(edges.Around, trace=trace))
        yield exporter


async def chat(service: Service, text: str = "x", **headers: str) -> Any:
    asked = {"model": CHAT, "messages": [{"role": "user", "content": text}], "stream": True}
    url = f"http://127.0.0.1:{service.port}/v1/chat/completions"
    given = {"authorization": f"Bearer {KEY}", **headers}
    async with service.session.post(url, json=asked, headers=given) as response:
        return response.status, response.headers, await response.text()


async def speech(service: Service, name: str) -> int:
    form = aiohttp.FormData()
    form.add_field("model", SPEECH)
    form.add_field("prompt", CANARY)
    form.add_field("file", f"{CANARY} seconds=1".encode(), filename=name)
    url = f"http://127.0.0.1:{service.port}/v1/audio/transcriptions"
    async with service.session.post(url, data=form, headers={"authorization": f"Bearer {KEY}"}) as response:
        await response.read()
        return response.status


async def test_a_request_is_a_trace_of_its_parts(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    async with serving(tmp_path) as service:
        status, headers, _ = await chat(service, traceparent=f"00-{TRACE}-{PARENT}-01")
        assert status == 200
    found = {span.name: span for span in spans.get_finished_spans()}
    assert found.keys() == {"/v1/chat/completions", "admission", "engine", "settle"}
    root = found["/v1/chat/completions"]
    assert f"{root.context.trace_id:032x}" == TRACE and f"{root.parent.span_id:016x}" == PARENT
    assert root.attributes["antiphon.request_id"] == headers["x-request-id"]
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["http.request.body.size"] > 0 < root.attributes["http.response.body.size"]
    for name, span in found.items():
        if name != root.name:
            assert span.parent.span_id == root.context.span_id
            assert span.start_time >= root.start_time - 10_000_000 and span.end_time <= root.end_time
    assert found["engine"].attributes["completion_tokens"] == 2


@pytest.mark.parametrize("header", ["", "x", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01"])
async def test_a_wrong_parent_is_none(tmp_path: Path, spans: InMemorySpanExporter, header: str) -> None:
    async with serving(tmp_path) as service:
        assert (await chat(service, traceparent=header))[0] == 200
    [root] = [span for span in spans.get_finished_spans() if span.parent is None]
    assert f"{root.context.trace_id:032x}" != TRACE


async def test_neither_content_nor_keys_are_told(
    tmp_path: Path, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a prompt, a file and its name, a header, a query, a path, a method, and keys, right and wrong."""
    caplog.set_level(logging.DEBUG)
    for noisy in ("aiosqlite", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # as `cli.logs` does
    async with serving(tmp_path) as service:
        root = f"http://127.0.0.1:{service.port}"
        assert (await chat(service, CANARY, **{"x-canary": CANARY}))[0] == 200
        assert (await chat(service, CANARY, authorization=f"Bearer sk-{CANARY}"))[0] == 401
        assert await speech(service, f"{CANARY}.wav") == 200
        for method, path in (("GET", f"/{CANARY}?{CANARY}={CANARY}"), (CANARY.upper(), "/v1/models")):
            async with service.session.request(method, root + path):
                pass
        async with service.session.get(f"{root}/metrics") as response:
            metrics = await response.text()
    written = "\n".join(Json().format(record) for record in caplog.records)
    traced = "\n".join(span.to_json() for span in spans.get_finished_spans())
    assert "/v1/chat/completions" in written
    assert "/v1/audio/transcriptions" in traced
    for text in (written + caplog.text, traced, metrics):
        assert KEY not in text and CANARY not in text.lower()


async def test_whatever_the_dashboard_asks_for_is_there(tmp_path: Path) -> None:
    dashboard = json.loads(GRAFANA.read_text())
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    async with serving(tmp_path) as service:
        assert (await chat(service))[0] == 200 == await speech(service, "a.wav")
        async with service.session.get(f"http://127.0.0.1:{service.port}/metrics") as response:
            text = await response.text()
    there: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(antiphon_\w+)(?:{(.*)})? ", text, re.MULTILINE):
        there.setdefault(name, set()).update(re.findall(r"(\w+)=\"", labels))
    named = {name for expr in asked for name in re.findall(r"antiphon_\w+", expr)}
    assert len(named) > 8 and named - there.keys() == set()
    for expr in asked:
        [name] = re.findall(r"antiphon_\w+", expr)
        grouped = set(re.findall(r"\w+", re.findall(r"by \(([^)]*)\)", expr)[0]))
        assert grouped - {"instance"} <= there[name], expr


@asynccontextmanager
async def collector(tmp_path: Path) -> AsyncIterator[tuple[str, list[tuple[str, bytes]]]]:
    taken: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_they_go_to_a_collector_by_http(tmp_path: Path) -> None:
    async with collector(tmp_path) as (address, taken):
        async with tracing(Settings(otlp_endpoint=address)) as trace:
            assert trace is not None
            trace(Way("req_1"), Span("/v1/models", 1, 2, {"antiphon.request_id": "req_1"}))
    [(path, body)] = taken
    assert path == "/v1/traces" and b"req_1" in body


async def test_a_collector_that_never_answers_holds_up_neither_the_end_nor_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traces, "_STOP_SECONDS", 0.5)
    rounds = 0

    async def turning() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0.01)
            rounds += 1

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with tracing(Settings(otlp_endpoint=address)) as trace:
            assert trace is not None
            trace(Way("req_1"), Span("/v1/models", 1, 2))
            other, began = asyncio.create_task(turning()), time.monotonic()
        assert 0.4 < time.monotonic() - began < 3
        assert rounds > 5
        other.cancel()


async def test_traces_are_sent_after_all_that_is_kept_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def noted(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        @asynccontextmanager
        async def noting(*given: Any, **named: Any) -> AsyncIterator[Any]:
            async with made(*given, **named) as one:
                yield one
            ended.append(name)

        return noting

    monkeypatch.setattr(running, "tracing", noted("traces", running.tracing))
    monkeypatch.setattr(running, "kept", noted("data", running.kept))
    monkeypatch.setattr(running, "moderating", noted("moderation", running.moderating))
    monkeypatch.setattr(running.accounts, "running", noted("ledger", running.accounts.running))
    async with running.running(Settings(home=str(tmp_path))):
        pass
    assert ended == ["moderation", "data", "ledger", "traces"]


async def test_without_an_address_nothing_is_traced() -> None:
    async with tracing(Settings()) as trace:
        assert trace is None


async def test_without_the_library_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match="not installed"):
        async with tracing(Settings(otlp_endpoint="http://a")):
            pass
