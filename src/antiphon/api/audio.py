"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from antiphon.api import lifecycle, sse, transcript_formats, uploads
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import HEADER, Idempotency
from antiphon.api.languages import code
from antiphon.api.validation import convert, refuse_unserved
from antiphon.errors import InvalidRequest
from antiphon.inference.transcription import SpeechAnswer, Transcription
from antiphon.values import Segment, SpeechJob, Transcript
from antiphon.wire import fields
from antiphon.wire.audio import ResponseFormat, TranscriptionRequest, TranslationRequest

SECONDS_HEADER = "antiphon-audio-seconds"
"""Length of the recording, in every answer that is a result: a client that streams knows how far it is."""


class AudioApi:
    """The handlers of the audio routes."""

    def __init__(
        self, transcription: Transcription, uploads: uploads.Uploads, idempotency: Idempotency
    ) -> None:
        self._transcription = transcription
        self._idempotency = idempotency
        self._uploads = uploads

    async def create_transcription(self, exchange: Exchange) -> None:
        async with self._received(exchange) as form:
            request = convert(form.fields, TranscriptionRequest, strict=False)
            refuse_unserved(request, fields.SPEECH)
            granularities = request.timestamp_granularities or []
            if granularities and request.response_format != "verbose_json":
                raise InvalidRequest(
                    "'timestamp_granularities' needs 'response_format' to be 'verbose_json'.",
                    param="timestamp_granularities",
                    code="invalid_parameter_combination",
                )
            job = SpeechJob(
                id=exchange.id,
                organization=exchange.known_caller.organization_id,
                model=request.model,
                file=form.file,
                language=code(request.language) if request.language else None,
                prompt=request.prompt or None,
                temperature=request.temperature or 0.0,
                words="word" in granularities,
            )
            await self._idempotency.answer(
                exchange, _content(exchange, form), self._work(exchange, job, request, granularities)
            )

    async def create_translation(self, exchange: Exchange) -> None:
        async with self._received(exchange) as form:
            request = convert(form.fields, TranslationRequest, strict=False)
            job = SpeechJob(
                id=exchange.id,
                organization=exchange.known_caller.organization_id,
                model=request.model,
                file=form.file,
                task="translate",
                prompt=request.prompt or None,
                temperature=request.temperature or 0.0,
            )
            work = self._work(exchange, job, request, [])
            await self._idempotency.answer(exchange, _content(exchange, form), work)

    def _received(self, exchange: Exchange) -> AbstractAsyncContextManager[uploads.Form]:
        """The form. What there is no room for is refused before it is read, unless its answer may be kept."""
        if HEADER.lower() not in exchange.headers:
            self._transcription.expect(exchange.known_caller)
        return self._uploads.receive(exchange)

    def _work(
        self,
        exchange: Exchange,
        job: SpeechJob,
        request: TranscriptionRequest | TranslationRequest,
        granularities: Sequence[str],
    ) -> Callable[[], Awaitable[None]]:
        """What writes the answer, of the shape that was asked for."""
        form = request.response_format or "json"
        if request.stream:
            return partial(self._stream, exchange, job, verbose=form == "verbose_json")
        return partial(self._answer, exchange, job, form, granularities)

    async def _answer(
        self, exchange: Exchange, job: SpeechJob, form: ResponseFormat, granularities: Sequence[str]
    ) -> None:
        segments: list[Segment] = []
        async with self._answered(exchange, job, streamed=False) as answer:
            async for piece in answer.pieces:
                if isinstance(piece, Segment):
                    segments.append(piece)
                    continue
                content, media_type = await asyncio.to_thread(
                    transcript_formats.render,
                    form,
                    segments,
                    piece,
                    task=job.task,
                    granularities=granularities,
                )
        # It was written before it was paid, and the engine's place is free again before it is sent.
        await exchange.answer(content, media_type)

    @asynccontextmanager
    async def _answered(
        self, exchange: Exchange, job: SpeechJob, *, streamed: bool
    ) -> AsyncIterator[SpeechAnswer]:
        caller, show = exchange.known_caller, exchange.show
        async with self._transcription.answer(caller, job, exchange.id, show, streamed=streamed) as answer:
            exchange.result_headers.update(lifecycle.headers(answer.snapshot))
            exchange.sound = answer.seconds
            exchange.result_headers[SECONDS_HEADER] = f"{answer.seconds:.3f}"
            if exchange.recording is not None:
                exchange.recording.charged = answer.charged
            if not exchange.watched:
                yield answer
                return
            seen: list[Segment | Transcript] = []
            async with aclosing(_noted(answer.pieces, seen)) as pieces:
                try:
                    yield msgspec.structs.replace(answer, pieces=pieces)
                finally:
                    _tell(exchange, job, answer.snapshot.id, seen)

    async def _stream(self, exchange: Exchange, job: SpeechJob, *, verbose: bool) -> None:
        """The transcript as it is understood: the events of each segment, then the whole text."""
        segments: list[Segment] = []
        async with self._answered(exchange, job, streamed=True) as answer:
            async for piece in answer.pieces:
                if isinstance(piece, Transcript):
                    done = sse.event(transcript_formats.done(segments, piece, job.task, verbose=verbose))
                    continue
                events = transcript_formats.events(
                    piece, first=not segments, verbose=verbose, words=job.words
                )
                segments.append(piece)
                # At once: whoever has the delta has the segment, and pays for it.
                await exchange.write(b"".join(map(sse.event, events)))
                answer.handed(piece)
        await exchange.write(done)
        await exchange.write(sse.DONE)
        await exchange.end()


def _content(exchange: Exchange, form: uploads.Form) -> list[bytes | Path]:
    """What makes two forms the same request, whatever separates their parts."""
    exchange.asked = msgspec.json.encode(form.fields, order="sorted")
    return [exchange.asked, form.file]


async def _noted(
    pieces: AsyncIterator[Segment | Transcript], seen: list[Segment | Transcript]
) -> AsyncGenerator[Segment | Transcript, None]:
    async for piece in pieces:
        seen.append(piece)
        yield piece


def _tell(exchange: Exchange, job: SpeechJob, snapshot: str, seen: Sequence[Segment | Transcript]) -> None:
    """Tell whoever watches of a recording and what was understood of it."""
    segments = [piece for piece in seen if isinstance(piece, Segment)]
    whole = next((piece for piece in seen if isinstance(piece, Transcript)), None)
    exchange.tell(
        "translation" if job.task == "translate" else "transcription",
        snapshot,
        transcript_formats.kept(segments, whole, job.task),
        whole=whole is not None,
        recording=job.file,
    )
