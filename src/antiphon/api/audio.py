"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from antiphon.api import sse, transcript_formats, uploads
from antiphon.api.exchange import Exchange
from antiphon.api.idempotency import Idempotency
from antiphon.api.languages import code
from antiphon.api.validation import convert, refuse_unserved
from antiphon.errors import InvalidRequest
from antiphon.inference.transcription import SpeechAnswer, Transcription
from antiphon.settings import Settings
from antiphon.values import Segment, SpeechJob, Transcript
from antiphon.wire import fields
from antiphon.wire.audio import (
    ResponseFormat,
    TextDelta,
    TextDone,
    TranscriptionRequest,
    TranslationRequest,
)


class AudioApi:
    """The handlers of the audio routes. Uploads lie in `folder` while they are worked on."""

    def __init__(
        self, settings: Settings, transcription: Transcription, folder: Path, idempotency: Idempotency
    ) -> None:
        self._settings = settings
        self._transcription = transcription
        self._idempotency = idempotency
        self._folder = folder

    async def create_transcription(self, exchange: Exchange) -> None:
        async with uploads.receive(exchange, self._folder, self._settings.upload_bytes) as form:
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
                model=request.model,
                file=form.file,
                language=code(request.language) if request.language else None,
                prompt=request.prompt or None,
                temperature=request.temperature or 0.0,
                words="word" in granularities,
            )
            if request.stream:
                work = partial(self._stream, exchange, job)
            else:
                work = partial(self._answer, exchange, job, request.response_format or "json", granularities)
            await self._idempotency.answer(exchange, _content(form), work)

    async def create_translation(self, exchange: Exchange) -> None:
        async with uploads.receive(exchange, self._folder, self._settings.upload_bytes) as form:
            request = convert(form.fields, TranslationRequest, strict=False)
            job = SpeechJob(
                id=exchange.id,
                model=request.model,
                file=form.file,
                task="translate",
                prompt=request.prompt or None,
                temperature=request.temperature or 0.0,
            )
            work = partial(self._answer, exchange, job, request.response_format or "json", [])
            await self._idempotency.answer(exchange, _content(form), work)

    async def _answer(
        self, exchange: Exchange, job: SpeechJob, form: ResponseFormat, granularities: Sequence[str]
    ) -> None:
        segments: list[Segment] = []
        async with self._answered(exchange, job) as answer:
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
    async def _answered(self, exchange: Exchange, job: SpeechJob) -> AsyncIterator[SpeechAnswer]:
        caller = exchange.known_caller
        async with self._transcription.answer(caller, job, exchange.id, exchange.show) as answer:
            if exchange.recording is not None:
                exchange.recording.charged = answer.charged
            yield answer

    async def _stream(self, exchange: Exchange, job: SpeechJob) -> None:
        """The transcript as it is understood: a delta for each segment, then the whole text."""
        segments: list[Segment] = []
        async with self._answered(exchange, job) as answer:
            async for piece in answer.pieces:
                if isinstance(piece, Transcript):
                    usage = transcript_formats.usage(piece)
                    done = sse.event(TextDone(text=transcript_formats.text(segments), usage=usage))
                    continue
                delta = piece.text if segments else piece.text.lstrip()
                segments.append(piece)
                await exchange.write(sse.event(TextDelta(delta=delta)))
                answer.handed(piece)
        await exchange.write(done)
        await exchange.write(sse.DONE)
        await exchange.end()


def _content(form: uploads.Form) -> list[bytes | Path]:
    """What makes two forms the same request, whatever separates their parts."""
    return [msgspec.json.encode(form.fields, order="sorted"), form.file]
