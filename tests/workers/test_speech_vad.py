from __future__ import annotations

import importlib
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model
from hypothesis import given, settings
from hypothesis import strategies as st

import sounds
from antiphon.errors import ConfigurationError
from antiphon.workers.speech import vad
from antiphon.workers.speech.vad import FRAME, RENEWED, Vad
from antiphon.workers.speech.values import RATE

JFK = sounds.read(Path(__file__).parents[1] / "data" / "en_whisper_jfk.flac")


def heard(*pieces: sounds.Samples) -> sounds.Samples:
    vad = Vad()
    return np.concatenate([vad(piece) for piece in pieces])


def test_speech_is_told_from_its_absence() -> None:
    speech = heard(JFK)
    assert speech.dtype == np.float32 and len(speech) == len(JFK) // FRAME
    assert (speech >= 0).all() and (speech <= 1).all() and (speech >= 0.5).mean() > 0.5
    noise = np.random.default_rng(0).normal(0, 300, 10 * RATE).astype(np.int16)
    for nothing in (sounds.silence(10), sounds.tone(10), noise):
        assert (heard(nothing) < 0.3).all()
    both = heard(np.concatenate([sounds.silence(4), JFK, sounds.silence(4)]))
    assert both[: 3 * RATE // FRAME].max() < 0.3 and both[-3 * RATE // FRAME :].max() < 0.3


def test_a_first_hearing_is_that_of_the_whole_network() -> None:
    """The first 3 s are what faster-whisper's way of feeding it gives; that spoils the last frame."""
    opening = JFK[: RENEWED * FRAME]
    reference = get_vad_model()(opening.astype(np.float32) / 32768)
    np.testing.assert_allclose(heard(opening)[:-1], reference.reshape(-1)[:-1], atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, len(JFK)), max_size=8))
def test_the_pieces_make_no_difference(cuts: list[int]) -> None:
    np.testing.assert_allclose(heard(*np.split(JFK, sorted(cuts))), heard(JFK), atol=1e-5)


@pytest.mark.parametrize("size", [1, 63, 511, 512, 513, 1600])
def test_small_pieces_make_no_difference(size: int) -> None:
    sound = JFK[: (RENEWED + 3) * FRAME if size > 1 else 4 * FRAME + 5]
    pieces = np.split(sound, range(size, len(sound), size))
    np.testing.assert_allclose(heard(*pieces), heard(sound), atol=1e-5)


def test_what_fills_no_frame_waits() -> None:
    vad = Vad()
    assert len(vad(JFK[:0])) == 0 and len(vad(JFK[:511])) == 0
    assert len(vad(JFK[511:512])) == 1
    assert len(vad(JFK[512:2000])) == 2
    assert len(vad(JFK[2000:2048])) == 1


def test_certainty_does_not_sink_in_long_speech(recordings: Path) -> None:
    speech = sounds.speech(recordings)
    minutes = heard(np.tile(speech, 4))
    first, last = np.array_split(minutes, 4)[0], np.array_split(minutes, 4)[-1]
    assert (last >= 0.4).mean() == pytest.approx((first >= 0.4).mean(), abs=0.01)


def test_a_fresh_memory_is_not_deaf() -> None:
    """Frames at a renewal are as sure as those in between."""
    starts = [heard(JFK[shift * FRAME :])[RENEWED] for shift in range(0, 160, 8)]
    others = [heard(JFK[shift * FRAME :])[RENEWED - 12] for shift in range(12, 172, 8)]
    assert np.mean(starts) == pytest.approx(np.mean(others), abs=0.05)


def test_recordings_share_the_network_and_nothing_else() -> None:
    alone = heard(JFK)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(heard, [JFK, JFK[::-1].copy(), JFK, sounds.tone(8), JFK]))
    for again in found[::2]:
        np.testing.assert_allclose(again, alone, atol=1e-5)


def test_memory_does_not_grow_with_the_sound() -> None:
    long = np.tile(JFK, 28)
    Vad()(JFK)
    tracemalloc.start()
    try:
        Vad()(long)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(long) > 300 * RATE and peak < 2 << 20


def test_a_missing_network_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "faster_whisper").mkdir()
    (tmp_path / "faster_whisper" / "__init__.py").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(importlib.sys.modules, "faster_whisper")
    vad.network.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="not installed") as refusal:
            Vad()
        assert "faster-whisper" in refusal.value.fix
    finally:
        vad.network.cache_clear()
