from __future__ import annotations

import io
import re
import time
from pathlib import Path

import numpy as np
import pytest

import sounds
from antiphon.errors import ClientGone, EngineFailed, InvalidRequest
from antiphon.values import Segment, Transcript
from antiphon.workers.speech.job import Job
from antiphon.workers.speech.transcribe import STALLED_SECONDS, Transcriber


@pytest.fixture(scope="module")
def transcriber(whisper_base: Path) -> Transcriber:
    return Transcriber(whisper_base, threads=2, slots=1, audio_seconds=600)


def work(transcriber: Transcriber, data: bytes, **asked: object) -> tuple[list[Segment], Transcript]:
    *segments, transcript = transcriber.transcribe(Job(file=io.BytesIO(data), **asked))  # type: ignore[arg-type]
    assert isinstance(transcript, Transcript)
    return segments, transcript  # type: ignore[return-value]


def words(segments: list[Segment]) -> str:
    return " ".join(re.findall(r"\w+", "".join(s.text for s in segments).lower()))


def test_the_length_is_known_before(transcriber: Transcriber, recordings: Path) -> None:
    data = (recordings / "en_whisper_jfk.flac").read_bytes()
    assert transcriber.measure(Job(file=io.BytesIO(data))) == 11.0
    with pytest.raises(InvalidRequest):
        transcriber.measure(Job(file=io.BytesIO(data), language="xx"))
    cancelled = Job(file=io.BytesIO(data))
    cancelled.cancel()
    with pytest.raises(ClientGone):
        transcriber.measure(cancelled)
    transcriber.check()


KENNEDY = "ask not what your country can do for you ask what you can do for your country"


def test_english_is_recognised_and_transcribed(transcriber: Transcriber, recordings: Path) -> None:
    segments, transcript = work(transcriber, (recordings / "en_whisper_jfk.flac").read_bytes())
    assert KENNEDY in words(segments)
    assert transcript.language == "en"
    assert transcript.duration == transcript.usage.seconds == 11.0
    assert [s.id for s in segments] == list(range(len(segments)))
    for segment in segments:
        assert 0 <= segment.start < segment.end <= 11.5
        assert segment.tokens and segment.temperature == 0.0 and segment.avg_logprob < 0
        assert segment.words == []
        assert {type(getattr(segment, n)) for n in ("start", "end", "avg_logprob", "no_speech_prob")} == {
            float
        }


def test_words_carry_their_times(transcriber: Transcriber, recordings: Path) -> None:
    segments, _ = work(transcriber, (recordings / "en_whisper_jfk.flac").read_bytes(), words=True)
    found = [word for segment in segments for word in segment.words]
    assert len(found) == 22
    assert all(type(w.start) is float and 0 <= w.start <= w.end <= 11.5 for w in found)
    assert [w.start for w in found] == sorted(w.start for w in found)


def test_german_is_translated_into_english(transcriber: Transcriber, recordings: Path) -> None:
    data = (recordings / "de_cuttledoc_fleurs-de-004.ogg").read_bytes()
    segments, transcript = work(transcriber, data)
    assert transcript.language == "de" and "spitze" in words(segments)
    segments, transcript = work(transcriber, data, task="translate")
    assert transcript.language == "de"
    assert "the" in words(segments).split() and "spitze" not in words(segments)


def test_a_prompt_and_a_language_are_followed(transcriber: Transcriber, recordings: Path) -> None:
    data = (recordings / "fr_cuttledoc_fleurs-fr-000.ogg").read_bytes()
    segments, transcript = work(
        transcriber, data, language="fr", prompt="Un accident de train.", temperature=0.2
    )
    assert transcript.language == "fr" and "accident" in words(segments)
    assert all(s.temperature == pytest.approx(0.2) for s in segments)


@pytest.mark.parametrize("level", [0, 30])
def test_silence_has_no_words(transcriber: Transcriber, level: int) -> None:
    quiet = np.random.default_rng(5).normal(0, level, 12 * 16_000).astype(np.int16)
    segments, transcript = work(transcriber, sounds.encode(quiet))
    assert segments == []
    assert transcript == Transcript(language="en", duration=12.0, usage=transcript.usage)


def test_sections_make_one_recording(transcriber: Transcriber, recordings: Path) -> None:
    kennedy = sounds.read(recordings / "en_whisper_jfk.flac")
    whole = np.concatenate([sounds.silence(125), kennedy, sounds.silence(105), kennedy])
    segments, transcript = work(transcriber, sounds.encode(whole, "flac"))
    assert words(segments).count(KENNEDY) == 2
    assert [s.id for s in segments] == list(range(len(segments)))
    assert transcript.duration == pytest.approx(len(whole) / 16_000)
    first, last = segments[0], segments[-1]
    assert 124 < first.start < 128 and 240 < last.start < 252 and last.end < 253
    assert all(a.end <= b.start + 0.5 for a, b in zip(segments, segments[1:], strict=False))


@pytest.mark.parametrize("language", ["yue", "xx", "|en"])
def test_a_language_that_the_model_lacks_is_refused(transcriber: Transcriber, language: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        work(transcriber, sounds.encode(sounds.tone(1)), language=language)
    assert refusal.value.param == "language"


def test_a_cancelled_job_ends_within_two_seconds(transcriber: Transcriber, recordings: Path) -> None:
    job = Job(file=io.BytesIO(sounds.encode(sounds.speech(recordings))))
    results = transcriber.transcribe(job)
    assert isinstance(next(results), Segment)
    job.cancel()
    began = time.monotonic()
    with pytest.raises(ClientGone):
        for _ in results:
            continue
    assert time.monotonic() - began < 2


def test_a_job_that_does_not_move_on_fails_the_check(transcriber: Transcriber, recordings: Path) -> None:
    job = Job(file=(recordings / "en_whisper_jfk.flac").open("rb"))
    with job.file:
        results = transcriber.transcribe(job)
        next(results)
        transcriber.check()
        job.stepped -= STALLED_SECONDS + 1
        with pytest.raises(EngineFailed):
            transcriber.check()
        results.close()  # type: ignore[attr-defined]
    transcriber.check()
