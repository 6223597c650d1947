"""Every client transcribes and translates real recordings; what is the server's alone is asked by one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from benchmarks.recordings import Recording, read
from benchmarks.words import error_rate, normalise
from drivers import ONE, Client

STAMP = r"\d\d:\d\d:\d\d[,.]\d{3}"
MOST_ERRORS = 0.3


@pytest.fixture(scope="module")
def spoken(recordings: Path) -> dict[str, Recording]:
    return {recording.path.name: recording for recording in read(recordings)}


@pytest.fixture(scope="module")
def speech(spoken: dict[str, Recording]) -> Recording:
    return spoken["en_pyroomacoustics_cmu_arctic_us_aew_a0003.wav"]


def transcribe(client: Client, recording: Recording, **body: Any) -> Any:
    return client.call("transcribe", file=str(recording.path), body={"model": "whisper-1", **body})


def check_words(text: str, recording: Recording) -> None:
    assert error_rate([recording.reference], [text], recording.language) < MOST_ERRORS


def cues(text: str) -> list[str]:
    """The spoken lines of subtitles."""
    return [line for line in text.splitlines() if line and not re.fullmatch(rf"\d+|WEBVTT|.*{STAMP}.*", line)]


def test_json(client: Client, speech: Recording) -> None:
    answer = transcribe(client, speech)
    check_words(answer["text"], speech)
    assert answer["usage"] == {"type": "duration", "seconds": 4}


def test_text(client: Client, speech: Recording) -> None:
    answer = transcribe(client, speech, response_format="text")
    assert isinstance(answer, str)
    check_words(answer, speech)


@ONE
def test_srt(client: Client, speech: Recording) -> None:
    answer = transcribe(client, speech, response_format="srt")
    assert re.match(r"1\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n\S", answer)
    check_words(" ".join(cues(answer)), speech)


@ONE
def test_vtt(client: Client, speech: Recording) -> None:
    answer = transcribe(client, speech, response_format="vtt")
    assert re.match(r"WEBVTT\n\n(\d\d:)?\d\d:\d\d\.\d{3} --> (\d\d:)?\d\d:\d\d\.\d{3}\n\S", answer)
    check_words(" ".join(cues(answer)), speech)


@ONE
def test_verbose_json(client: Client, speech: Recording) -> None:
    answer = transcribe(client, speech, response_format="verbose_json")
    check_words(answer["text"], speech)
    assert answer["task"] == "transcribe"
    assert answer["language"] == "english"
    assert answer["duration"] == pytest.approx(3.54, abs=0.1)
    assert "words" not in answer
    assert [segment["id"] for segment in answer["segments"]] == list(range(len(answer["segments"])))
    assert "".join(segment["text"] for segment in answer["segments"]).strip() == answer["text"].strip()
    for segment in answer["segments"]:
        assert 0 <= segment["start"] < segment["end"] <= 4
        assert segment["tokens"] and segment["avg_logprob"] < 0 and segment["compression_ratio"] > 0
        assert 0 <= segment["no_speech_prob"] <= 1 and segment["temperature"] == 0
        assert isinstance(segment["seek"], int)


def test_words_have_times(client: Client, speech: Recording) -> None:
    body = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]}
    answer = transcribe(client, speech, **body)
    assert answer["segments"]
    starts = [word["start"] for word in answer["words"]]
    assert starts == sorted(starts) and all(word["start"] <= word["end"] for word in answer["words"])
    check_words(" ".join(word["word"] for word in answer["words"]), speech)


def check_translation(client: Client, recording: Recording, expected: str) -> None:
    body = {"model": "whisper-1", "response_format": "verbose_json"}
    answer = client.call("translate", file=str(recording.path), body=body)
    assert answer["task"] == "translate"
    words = set(normalise(answer["text"], "en").split())
    assert len(words & set(expected.split())) >= 2, answer["text"]


def test_translation_into_english(client: Client, spoken: dict[str, Recording]) -> None:
    check_translation(client, spoken["de_cuttledoc_fleurs-de-004.ogg"], "cave mountains mecca world isolated")


@ONE
def test_translation_from_another_language(client: Client, spoken: dict[str, Recording]) -> None:
    check_translation(client, spoken["fr_cuttledoc_fleurs-fr-000.ogg"], "accident mountainous caused fire")


@ONE
def test_a_file_is_known_by_its_content(client: Client, speech: Recording, tmp_path: Path) -> None:
    disguised = tmp_path / "recording.mp3"
    shutil.copy(speech.path, disguised)
    answer = client.call("transcribe", file=str(disguised), body={"model": "whisper-1"})
    check_words(answer["text"], speech)


@ONE
@pytest.mark.parametrize(
    "name",
    [
        "de_cuttledoc_fleurs-de-004.ogg",
        "es_cuttledoc_fleurs-es-006.ogg",
        "fr_cuttledoc_fleurs-fr-000.ogg",
        "pt_cuttledoc_fleurs-pt-006.ogg",
    ],
)
def test_other_languages(client: Client, spoken: dict[str, Recording], name: str) -> None:
    recording = spoken[name]
    check_words(transcribe(client, recording, language=recording.language)["text"], recording)
