"""Recordings in messages: transcribed by the speech engine, and passed on as text."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence

from antiphon.admission.rates import unseen
from antiphon.api.exchange import Exchange
from antiphon.api.uploads import Uploads
from antiphon.errors import InvalidAudio, InvalidRequest, TooLarge, TranscriptionTooSlow
from antiphon.inference.transcription import Transcription
from antiphon.values import Segment, SpeechJob
from antiphon.wire.chat import AudioPart, RequestMessage

_MOST = 8
"""Recordings in one request: each is a transcription of its own."""


def recordings(messages: Sequence[RequestMessage]) -> dict[str, AudioPart]:
    """Each recording by its place, such as `messages[0].content[1]`. Raises `InvalidRequest` for too many."""
    found = {
        f"messages[{index}].content[{number}]": part
        for index, message in enumerate(messages)
        if isinstance(message.content, list)
        for number, part in enumerate(message.content)
        if isinstance(part, AudioPart)
    }
    if len(found) > _MOST:
        raise InvalidRequest(
            f"A request may have at most {_MOST} recordings.", param=list(found)[_MOST], code="invalid_value"
        )
    return found


def _decoded(part: AudioPart, param: str) -> bytes:
    try:
        return base64.b64decode(part.input_audio.data, validate=True)
    except binascii.Error:
        raise InvalidRequest(f"'{param}' is not base64.", param=param, code="invalid_value") from None


class Hearing:
    """Transcribes the recordings of a request, one after the other."""

    def __init__(self, transcription: Transcription, uploads: Uploads) -> None:
        self._transcription = transcription
        self._uploads = uploads

    async def texts(self, exchange: Exchange, model: str, found: Mapping[str, AudioPart]) -> dict[str, str]:
        """What is said in each recording, by its place; `model` transcribes.

        Each is billed as a request of its own, whatever becomes of the conversation afterwards. Raises what
        a transcription raises, naming the place of a recording that is wrong.
        """
        params = {place: f"{place}.input_audio.data" for place in found}
        contents = {
            place: await asyncio.to_thread(_decoded, part, params[place]) for place, part in found.items()
        }
        said = {}
        for number, (place, content) in enumerate(contents.items()):
            try:
                said[place] = await self._text(exchange, model, f"{exchange.id}-{number}", content)
            except TranscriptionTooSlow as problem:
                text = "This recording would take too long to transcribe before an answer."
                raise TooLarge(text, param=params[place], code=problem.code) from None
            except (InvalidAudio, TooLarge) as problem:
                problem.param = params[place]
                raise
        return said

    async def _text(self, exchange: Exchange, model: str, id: str, content: bytes) -> str:
        caller = exchange.known_caller
        texts = []
        async with self._uploads.hold(content) as file:
            job = SpeechJob(id=id, organization=caller.organization_id, model=model, file=file)
            async with self._transcription.answer(caller, job, id, unseen, streamed=False) as answer:
                async for piece in answer.pieces:
                    if isinstance(piece, Segment):
                        texts.append(piece.text)
        return "".join(texts).strip()
