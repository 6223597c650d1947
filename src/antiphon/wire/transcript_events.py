"""What a speech engine of ours sends: server-sent events, one JSON object each. No logic.

First one `OpenedEvent`, once the recording was looked at; a `SegmentEvent` for each stretch of speech as soon
as it is known, and a `ProgressEvent` wherever sound was heard that gave none; then one `DoneEvent`. An error
before the first event is an answer of its own; a later one is sent as an `EngineError` in place of an event,
and is the last thing sent.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from antiphon.values import Progress, Segment

RecordingId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,100}\Z")]
"""Part of the path that starts a recording which is held."""


class OpenedEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="transcript.opened"):
    """The recording is here and can be transcribed, as far as its container tells.

    `seconds` of sound, and `expected` seconds until the last segment, with the work that is before it.
    """

    id: RecordingId
    seconds: Annotated[float, Meta(ge=0)]
    expected: Annotated[float, Meta(ge=0)]


class SegmentEvent(Segment, frozen=True, kw_only=True, tag_field="type", tag="transcript.text.segment"):
    """A segment with every field of `values.Segment`."""


class ProgressEvent(Progress, frozen=True, kw_only=True, tag_field="type", tag="transcript.progress"):
    """How far the recording was heard, in seconds."""


class MeasuredUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of sound as decoded, not rounded."""

    type: Literal["duration"] = "duration"
    seconds: float


class DoneEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="transcript.text.done"):
    """The end of the recording: its language, as `values.Transcript` has it, and its length in seconds."""

    language: str
    duration: float
    usage: MeasuredUsage


TranscriptEvent = OpenedEvent | SegmentEvent | ProgressEvent | DoneEvent
