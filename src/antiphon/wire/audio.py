"""The shapes of `POST /v1/audio/transcriptions` and `/v1/audio/translations`. No logic.

Requests are multipart; each struct is the form once its `name[]` fields are lists.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from antiphon.wire.sampling import ModelName, ShortText

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
SpeechTemperature = Annotated[float, Meta(ge=0, le=1)]
SpeechPrompt = Annotated[str, Meta(max_length=8192)]
Texts = Annotated[list[ShortText], Meta(max_length=100)]


class TranslationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of a translation, without its file."""

    model: ModelName
    prompt: SpeechPrompt | None = None
    response_format: ResponseFormat | None = None
    temperature: SpeechTemperature | None = None
    user: ShortText | None = None
    stream: bool | None = None


class TranscriptionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of a transcription, without its file."""

    model: ModelName
    prompt: SpeechPrompt | None = None
    response_format: ResponseFormat | None = None
    temperature: SpeechTemperature | None = None
    user: ShortText | None = None
    language: Annotated[str, Meta(max_length=32)] | None = None
    timestamp_granularities: list[Literal["word", "segment"]] | None = None
    stream: bool | None = None
    chunking_strategy: ShortText | None = None
    include: Texts | None = None
    known_speaker_names: Texts | None = None
    known_speaker_references: Texts | None = None
    languages: Texts | None = None
    keywords: Texts | None = None


class DurationUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of sound as measured by our decoder, rounded up."""

    type: Literal["duration"] = "duration"
    seconds: int


class TranscriptWord(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class TranscriptSegment(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class JsonTranscript(msgspec.Struct, frozen=True, kw_only=True):
    """`response_format: json`."""

    text: str
    usage: DurationUsage


class VerboseTranscript(msgspec.Struct, frozen=True, kw_only=True):
    """`response_format: verbose_json`; `language` is an English name in lower case."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    segments: list[TranscriptSegment] | UnsetType = UNSET
    words: list[TranscriptWord] | UnsetType = UNSET
    usage: DurationUsage


class TextDelta(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a streamed transcript: the text of its next segment."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str


class TextSegment(TranscriptSegment, frozen=True, kw_only=True):
    """An event of a stream in `verbose_json`, after the delta of the same text; words if asked for."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    words: list[TranscriptWord] | UnsetType = UNSET


class TextDone(msgspec.Struct, frozen=True, kw_only=True):
    """The last event of a streamed transcript; language and duration if that is in `verbose_json`."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    language: str | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    usage: DurationUsage
