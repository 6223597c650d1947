"""The five bodies of a transcript: `json`, `text`, `srt`, `verbose_json`, `vtt`; and the events of a stream.

Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import msgspec
from msgspec import UNSET

from antiphon.api import languages
from antiphon.values import Segment, SpeechTask, Transcript
from antiphon.wire.audio import (
    DurationUsage,
    JsonTranscript,
    ResponseFormat,
    TextDelta,
    TextDone,
    TextSegment,
    TranscriptSegment,
    TranscriptWord,
    VerboseTranscript,
)

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
"""Of subtitles too: that is what the API has always answered, and what its clients branch on."""


def render(
    form: ResponseFormat,
    segments: Sequence[Segment],
    transcript: Transcript,
    *,
    task: SpeechTask = "transcribe",
    granularities: Collection[str] = (),
) -> tuple[bytes, str]:
    """The body and its content type. `granularities` ("segment", "word") concern `verbose_json` alone."""
    match form:
        case "json":
            whole = JsonTranscript(text=text(segments), usage=usage(transcript))
            return msgspec.json.encode(whole), JSON_TYPE
        case "verbose_json":
            return msgspec.json.encode(verbose(segments, transcript, task, granularities)), JSON_TYPE
        case "text":
            return f"{text(segments)}\n".encode(), TEXT_TYPE
        case "srt":
            return srt(segments).encode(), TEXT_TYPE
        case "vtt":
            return vtt(segments).encode(), TEXT_TYPE


def kept(segments: Sequence[Segment], transcript: Transcript | None, task: SpeechTask) -> bytes:
    """As JSON for who keeps it: everything that is known, or the text alone of one that was broken off."""
    if transcript is None:
        return msgspec.json.encode({"text": text(segments)})
    return msgspec.json.encode(verbose(segments, transcript, task, ()))


def text(segments: Sequence[Segment]) -> str:
    """The whole text; each segment brings its own leading space, or none in languages without."""
    return "".join(segment.text for segment in segments).strip()


def usage(transcript: Transcript) -> DurationUsage:
    """What is billed: whole seconds of sound, rounded up."""
    return DurationUsage(seconds=math.ceil(transcript.usage.seconds))


def verbose(
    segments: Sequence[Segment],
    transcript: Transcript,
    task: SpeechTask,
    granularities: Collection[str],
) -> VerboseTranscript:
    """Everything that is known; segments unless only words are asked for, words if asked for."""
    wants_words = "word" in granularities
    wants_segments = "segment" in granularities or not wants_words
    return VerboseTranscript(
        task=task,
        language=_language(transcript, task),
        duration=transcript.duration,
        text=text(segments),
        segments=[_segment(segment) for segment in segments] if wants_segments else UNSET,
        words=list(_words(segments)) if wants_words else UNSET,
        usage=usage(transcript),
    )


def events(segment: Segment, *, first: bool, verbose: bool, words: bool) -> Iterator[TextDelta | TextSegment]:
    """What a stream says of a segment; the deltas joined are the whole text."""
    yield TextDelta(delta=segment.text.lstrip() if first else segment.text)
    if verbose:
        known = msgspec.structs.asdict(_segment(segment))
        yield TextSegment(**known, words=list(_words([segment])) if words else UNSET)


def done(segments: Sequence[Segment], transcript: Transcript, task: SpeechTask, *, verbose: bool) -> TextDone:
    """The last event of a stream."""
    return TextDone(
        text=text(segments),
        language=_language(transcript, task) if verbose else UNSET,
        duration=transcript.duration if verbose else UNSET,
        usage=usage(transcript),
    )


def _language(transcript: Transcript, task: SpeechTask) -> str:
    """Of the text, as OpenAI names it: a translation's is always English."""
    return languages.name("en" if task == "translate" else transcript.language)


def _segment(segment: Segment) -> TranscriptSegment:
    return msgspec.convert(segment, TranscriptSegment, from_attributes=True)


def _words(segments: Sequence[Segment]) -> Iterator[TranscriptWord]:
    for segment in segments:
        for word in segment.words:
            yield TranscriptWord(word.word.strip(), word.start, word.end)


def srt(segments: Sequence[Segment]) -> str:
    """SubRip: numbered from 1, `00:00:01,000`, a blank line after each."""
    return "".join(
        f"{number}\n{_time(segment.start, ',')} --> {_time(segment.end, ',')}\n{_line(segment)}\n\n"
        for number, segment in enumerate(segments, 1)
    )


def vtt(segments: Sequence[Segment]) -> str:
    """WebVTT: `00:00:01.000`, a blank line after each."""
    cues = (
        f"{_time(segment.start, '.')} --> {_time(segment.end, '.')}\n{_line(segment)}\n\n"
        for segment in segments
    )
    return "WEBVTT\n\n" + "".join(cues)


def _line(segment: Segment) -> str:
    """One line, in which nothing can be taken for the arrow that separates a cue's times."""
    return " ".join(segment.text.split()).replace("-->", "->")


def _time(seconds: float, point: str) -> str:
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{point}{milliseconds:03d}"
