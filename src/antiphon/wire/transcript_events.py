"""What a speech engine of ours sends: server-sent events, one JSON object each. No logic.

A `SegmentEvent` for each stretch of speech as soon as it is known, then one `DoneEvent`. An error after the
first event is sent as an `ErrorEnvelope` in place of an event, and is the last thing sent.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from antiphon.values import Segment


class SegmentEvent(Segment, frozen=True, kw_only=True, tag_field="type", tag="transcript.text.segment"):
    """A segment with every field of `values.Segment`."""


class MeasuredUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of sound as decoded, not rounded: in a `DoneEvent`, and what `/v1/audio/durations` answers."""

    type: Literal["duration"] = "duration"
    seconds: float


class DoneEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="transcript.text.done"):
    """The end of the recording: its whole text, its language (ISO 639-1) and its length in seconds."""

    text: str
    language: str
    duration: float
    usage: MeasuredUsage


TranscriptEvent = SegmentEvent | DoneEvent
