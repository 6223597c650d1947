"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
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
                if isinstance(piece, Transcript):
                    transcript = piece
                else:
                    segments.append(piece)
        content, media_type = await asyncio.to_thread(
            transcript_formats.render,
            form,
            segments,
            transcript,
            task=job.task,
            granularities=granularities,
        )
        await exchange.answer(content, media_type)

    def _answered(self, exchange: Exchange, job: SpeechJob) -> AbstractAsyncContextManager[SpeechAnswer]:
        return self._transcription.answer(exchange.known_caller, job, exchange.id, exchange.show)

    async def _stream(self, exchange: Exchange, job: SpeechJob) -> None:
        """The transcript as it is understood: a delta for each segment, then the whole text."""
        segments: list[Segment] = []
        async with self._answered(exchange, job) as answer:
            async for piece in answer.pieces:
                if isinstance(piece, Transcript):
                    transcript = piece
                    continue
                delta = piece.text if segments else piece.text.lstrip()
                segments.append(piece)
                await exchange.write(sse.event(TextDelta(delta=delta)))
                answer.handed(piece)
        done = TextDone(text=transcript_formats.text(segments), usage=transcript_formats.usage(transcript))
        await exchange.write(sse.event(done))
        await exchange.write(sse.DONE)
        await exchange.end()


def _content(form: uploads.Form) -> list[bytes | Path]:
    """What makes two forms the same request, whatever separates their parts."""
    return [msgspec.json.encode(form.fields, order="sorted"), form.file]
