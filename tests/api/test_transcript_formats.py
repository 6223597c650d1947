from __future__ import annotations

import json

import pytest

from antiphon.api import transcript_formats
from antiphon.values import Segment, Transcript, Usage, Word

SEGMENTS = [
    Segment(
        id=0, seek=0, start=0.0, end=1.9996, text=" Hello there.", tokens=[50364, 2425], temperature=0.0,
        avg_logprob=-0.25, compression_ratio=1.5, no_speech_prob=0.01,
        words=[Word(" Hello", 0.0, 0.8), Word(" there.", 0.8, 1.9)],
    ),
    Segment(
        id=1, seek=0, start=3599.9999, end=3723.004, text=" It\n--> goes on.", tokens=[467], temperature=0.2,
        avg_logprob=-0.5, compression_ratio=1.25, no_speech_prob=0.5, words=[Word(" It", 3600.0, 3601.5)],
    ),
]  # fmt: skip
TRANSCRIPT = Transcript(language="en", duration=3724.5, usage=Usage(seconds=3724.5))
TEXT = "Hello there. It\n--> goes on."
PLAIN = "text/plain; charset=utf-8"


def render(form: str, **asked: object) -> tuple[str, str]:
    body, kind = transcript_formats.render(form, SEGMENTS, TRANSCRIPT, **asked)  # type: ignore[arg-type]
    return body.decode(), kind


def test_json_is_the_text_and_what_is_billed() -> None:
    body, kind = render("json")
    assert kind == "application/json"
    assert json.loads(body) == {"text": TEXT, "usage": {"type": "duration", "seconds": 3725}}


def test_text_ends_in_a_newline() -> None:
    assert render("text") == (TEXT + "\n", PLAIN)


def test_srt_is_numbered_and_has_commas() -> None:
    assert render("srt") == (
        "1\n00:00:00,000 --> 00:00:02,000\nHello there.\n\n"
        "2\n01:00:00,000 --> 01:02:03,004\nIt -> goes on.\n\n",
        PLAIN,
    )


def test_vtt_has_its_header_and_points() -> None:
    assert render("vtt") == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000\nHello there.\n\n"
        "01:00:00.000 --> 01:02:03.004\nIt -> goes on.\n\n",
        PLAIN,
    )


@pytest.mark.parametrize(
    ("granularities", "keys"),
    [
        ([], {"segments"}),
        (["segment"], {"segments"}),
        (["word"], {"words"}),
        (["word", "segment"], {"segments", "words"}),
    ],
)
def test_verbose_json_has_what_was_asked_for(granularities: list[str], keys: set[str]) -> None:
    body, kind = render("verbose_json", granularities=granularities, task="translate")
    assert kind == "application/json"
    found = json.loads(body)
    assert set(found) == {"task", "language", "duration", "text", "usage"} | keys
    assert (found["task"], found["language"], found["duration"]) == ("translate", "english", 3724.5)


def test_a_translation_is_in_english_whatever_was_spoken() -> None:
    german = Transcript(language="de", duration=1.0, usage=Usage(seconds=1.0))
    for task, language in (("transcribe", "german"), ("translate", "english")):
        whole, _ = transcript_formats.render("verbose_json", SEGMENTS, german, task=task)  # type: ignore[arg-type]
        assert json.loads(whole)["language"] == language
        assert transcript_formats.done(SEGMENTS, german, task, verbose=True).language == language  # type: ignore[arg-type]


def test_verbose_json_has_whispers_own_fields() -> None:
    found = json.loads(render("verbose_json", granularities=["word", "segment"])[0])
    assert found["segments"][0] == {
        "id": 0, "seek": 0, "start": 0.0, "end": 1.9996, "text": " Hello there.", "tokens": [50364, 2425],
        "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.5, "no_speech_prob": 0.01,
    }  # fmt: skip
    assert found["words"] == [
        {"word": "Hello", "start": 0.0, "end": 0.8},
        {"word": "there.", "start": 0.8, "end": 1.9},
        {"word": "It", "start": 3600.0, "end": 3601.5},
    ]


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("json", '{"text":"","usage":{"type":"duration","seconds":2}}'),
        ("text", "\n"),
        ("srt", ""),
        ("vtt", "WEBVTT\n\n"),
    ],
)
def test_silence_is_empty_in_every_form(form: str, body: str) -> None:
    silence = Transcript(language="en", duration=2.0, usage=Usage(seconds=2.0))
    assert transcript_formats.render(form, [], silence)[0].decode() == body  # type: ignore[arg-type]
