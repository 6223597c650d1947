"""A transcript as a server streams it to the commands, and how it is written: in any of the five formats."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import msgspec

from antiphon.api import transcript_formats
from antiphon.cli.output import CommandFailed
from antiphon.values import Segment, SpeechTask, Transcript, Usage
from antiphon.wire.audio import ResponseFormat, TextDone, TextSegment

T = TypeVar("T")


class _Error(msgspec.Struct):
    message: str | None = None


class _Event(msgspec.Struct):
    """As much as every event has."""

    type: str = ""
    error: _Error | None = None


class Transcribed:
    """What is known of a transcript; `seconds` of sound are behind what was said so far."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._segments: list[Segment] = []
        self._transcript: Transcript | None = None

    @property
    def whole(self) -> bool:
        return self._transcript is not None

    def take(self, data: bytes) -> None:
        """The next event of a stream in `verbose_json`. Raises `CommandFailed`, by an error event too."""
        event = _decoded(data, _Event)
        if event.error is not None:
            raise CommandFailed(event.error.message or "the server broke off the transcript")
        match event.type:
            case "transcript.text.segment":
                self._take_segment(_decoded(data, TextSegment))
            case "transcript.text.done":
                self._take_end(_decoded(data, TextDone))

    def _take_segment(self, event: TextSegment) -> None:
        words = [] if event.words is msgspec.UNSET else event.words
        known = {name: getattr(event, name) for name in Segment.__struct_fields__} | {"words": words}
        self._segments.append(msgspec.convert(known, Segment, from_attributes=True))
        self.seconds = max(self.seconds, event.end)

    def _take_end(self, event: TextDone) -> None:
        if event.language is msgspec.UNSET or event.duration is msgspec.UNSET:
            raise CommandFailed("the server sent a transcript without its language or length")
        # The language comes by its name, and is written by it.
        self._transcript = Transcript(
            language=event.language, duration=event.duration, usage=Usage(seconds=event.usage.seconds)
        )
        self.seconds = event.duration

    def written(
        self,
        form: ResponseFormat,
        *,
        task: SpeechTask = "transcribe",
        granularities: Collection[str] = (),
    ) -> str:
        """The body that the server would have answered, had it been asked for it as a whole."""
        assert self._transcript is not None, "it is not whole"
        body, _ = transcript_formats.render(
            form, self._segments, self._transcript, task=task, granularities=granularities
        )
        return body.decode()


def _decoded(data: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.MsgspecError:
        raise CommandFailed("the server sent something that is not a transcript") from None
