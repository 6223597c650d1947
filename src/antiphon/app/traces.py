"""OpenTelemetry's traces of requests, sent by OTLP over HTTP where the operator asks for that.

What a request went through is noted on its way (`spans`); when it is over, that becomes a trace here, in a
queue that a thread of OpenTelemetry's empties: a collector that is slow or gone costs no request anything.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from antiphon import __version__
from antiphon.errors import ConfigurationError
from antiphon.settings import Settings
from antiphon.spans import Span, Way

Trace = Callable[[Way, Span], None]
"""Takes the way of a request that is over, and the span of the whole."""

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_PATH = "/v1/traces"
_STOP_SECONDS = 3.0
_SEND_SECONDS = 5


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[Trace | None]:
    """What takes traces for as long as the block runs; None if nobody wants any.

    Raises `ConfigurationError` where OpenTelemetry is not installed.
    """
    if not settings.otlp_endpoint:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError(
            "traces are asked for (otlp_endpoint), but OpenTelemetry is not installed",
            fix="make otel, or pip install 'antiphon[otel]'; or leave otlp_endpoint empty",
        ) from None
    address = settings.otlp_endpoint.rstrip("/")
    address = address if address.endswith(_PATH) else address + _PATH
    async with exporting(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=_SEND_SECONDS))
    ) as trace:
        yield trace


@asynccontextmanager
async def exporting(processor: Any) -> AsyncIterator[Trace]:
    """What gives traces to a span processor of OpenTelemetry's; the last may take some seconds to send."""
    from opentelemetry import trace as api
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    # Of the environment nothing is told: a variable may hold anything.
    about = Resource({"service.name": "antiphon", "service.version": __version__})
    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("antiphon", __version__)

    def trace(way: Way, whole: Span) -> None:
        root = tracer.start_span(
            whole.name,
            context=_context(way.parent),
            kind=api.SpanKind.SERVER,
            attributes=whole.facts,
            start_time=whole.began,
        )
        inside = api.set_span_in_context(root)
        for part in way.spans:
            span = tracer.start_span(part.name, context=inside, attributes=part.facts, start_time=part.began)
            _end(span, part, part.ended or whole.ended)
        _end(root, whole, whole.ended)

    def _end(span: Any, noted: Span, at: int) -> None:
        if noted.failed:
            span.set_status(api.StatusCode.ERROR, noted.failed)
        span.end(at)

    try:
        yield trace
    finally:
        # It would wait for a collector that is slow, and knows no deadline for that.
        flushing = threading.Thread(target=_flush, args=(provider,), name="traces", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, _STOP_SECONDS)


def _flush(provider: Any) -> None:
    provider.force_flush()
    provider.shutdown()


def _context(parent: str) -> Any:
    """Whose trace a request belongs to, by W3C's Trace Context; a header of another form tells nothing."""
    from opentelemetry import trace as api

    found = _PARENT.fullmatch(parent)
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    flags = api.TraceFlags(int(found[3], 16))
    known = api.SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)
    return api.set_span_in_context(api.NonRecordingSpan(known))
