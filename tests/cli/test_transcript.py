"""A streamed transcript is written just as the server would have answered it as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.api import languages, transcript_formats
from antiphon.cli.output import CommandFailed
from antiphon.cli.transcript import Transcribed
from antiphon.values import Segment, SpeechTask, Transcript, Usage, Word
from antiphon.wire.audio import ResponseFormat

seconds = st.floats(0, 36_000).map(lambda value: round(value, 3))
words = st.builds(Word, word=st.text(max_size=8), start=seconds, end=seconds)
segments = st.builds(
    Segment,
    id=st.integers(0, 10_000),
    seek=st.integers(0, 360_000),
    start=seconds,
    end=seconds,
    text=st.text(max_size=20),
    tokens=st.lists(st.integers(0, 51_865), max_size=5),
    temperature=st.floats(0, 1),
    avg_logprob=st.floats(-10, 0),
    compression_ratio=st.floats(0, 100),
    no_speech_prob=st.floats(0, 1),
    words=st.lists(words, max_size=3),
)


def streamed(
    pieces: Sequence[Segment], transcript: Transcript, task: SpeechTask, *, words: bool
) -> Transcribed:
    """What is left of a transcript once it went through a stream."""
    found = Transcribed()
    for number, piece in enumerate(pieces):
        for event in transcript_formats.events(piece, first=number == 0, verbose=True, words=words):
            found.take(msgspec.json.encode(event))
    assert not found.whole
    found.take(msgspec.json.encode(transcript_formats.done(pieces, transcript, task, verbose=True)))
    assert found.whole
    return found


@given(
    pieces=st.lists(segments, max_size=4),
    form=st.sampled_from(["json", "text", "srt", "verbose_json", "vtt"]),
    task=st.sampled_from(["transcribe", "translate"]),
    granularities=st.sampled_from([(), ("segment", "word"), ("word",)]),
    language=st.sampled_from([*languages.NAMES, "xx"]),
    length=seconds,
)
def test_it_is_written_as_the_server_writes_it(
    pieces: list[Segment],
    form: ResponseFormat,
    task: SpeechTask,
    granularities: Sequence[str],
    language: str,
    length: float,
) -> None:
    transcript = Transcript(language=language, duration=length, usage=Usage(seconds=length))
    found = streamed(pieces, transcript, task, words="word" in granularities)
    whole, _ = transcript_formats.render(form, pieces, transcript, task=task, granularities=granularities)
    assert found.written(form, task=task, granularities=granularities) == whole.decode()
    assert found.seconds == length


def test_the_sound_behind_what_was_said_never_shrinks() -> None:
    found = Transcribed()
    for end in (2.0, 1.5, 3.0):
        found.take(
            b'{"type":"transcript.text.segment","id":0,"seek":0,"start":0,"end":%.1f,"text":"","tokens":[],'
            b'"temperature":0,"avg_logprob":0,"compression_ratio":0,"no_speech_prob":0}' % end
        )
        assert found.seconds == max(2.0, end)


@pytest.mark.parametrize("data", [b"{}", b'{"type":"transcript.text.later","new":1}'])
def test_events_that_nobody_knows_yet_are_passed_over(data: bytes) -> None:
    found = Transcribed()
    found.take(data)
    assert not found.whole and found.seconds == 0


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"type":1}', b'{"type":"transcript.text.done"}'])
def test_what_is_no_event_is_a_failure(data: bytes) -> None:
    with pytest.raises(CommandFailed, match="not a transcript"):
        Transcribed().take(data)
