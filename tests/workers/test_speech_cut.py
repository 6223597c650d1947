from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sounds
from antiphon.workers.speech.cut import CutOptions, Cutter
from antiphon.workers.speech.vad import FRAME, Vad
from antiphon.workers.speech.values import RATE, Window


class Scripted:
    """A detector that says what it was told to, frame by frame; silence after that."""

    def __init__(self, script: Callable[[int], float]) -> None:
        self._script = script
        self._given = self._told = 0

    def __call__(self, samples: sounds.Samples) -> NDArray[np.float32]:
        self._given += len(samples)
        told = range(self._told, self._given // FRAME)
        self._told = self._given // FRAME
        return np.array([self._script(frame) for frame in told], np.float32)


Runs = list[tuple[int, float]]


def script(runs: Runs) -> list[float]:
    return [probability for length, probability in runs for _ in range(length)]


def numbered(count: int) -> sounds.Samples:
    """Samples that tell where they are."""
    return (np.arange(count) % 32749).astype(np.int16)


CLOSE = CutOptions(pad=0.3)


def windows(
    probabilities: list[float],
    options: CutOptions | None = None,
    *,
    extra: int = 0,
    sizes: tuple[int, ...] = (),
) -> list[Window]:
    """The windows of a made-up recording, `extra` samples longer than its frames, fed in pieces."""
    sound = numbered(len(probabilities) * FRAME + extra)
    said = probabilities + probabilities[-1:]
    cutter = Cutter(options or CLOSE, Scripted(said.__getitem__))
    found, at, turn = [], 0, 0
    while at < len(sound):
        size = sizes[turn % len(sizes)] if sizes else RATE
        found += cutter.feed(sound[at : at + size])
        at, turn = at + size, turn + 1
    return found + cutter.end()


def shape(windows: list[Window]) -> list[tuple[int, int, int, int, int, bytes]]:
    return [(w.number, w.start, w.end, w.head, w.tail, w.samples.tobytes()) for w in windows]


def spans(windows: list[Window]) -> list[tuple[float, float]]:
    return [(w.start / FRAME, w.end / FRAME) for w in windows]


def check(found: list[Window], said: NDArray[np.float32], options: CutOptions, sound: sounds.Samples) -> None:
    """What holds for every recording, given what the detector said of its frames."""
    covered = np.zeros(len(sound), bool)
    for number, window in enumerate(found):
        assert window.number == number and window.samples.dtype == np.int16
        assert 0 <= window.start < window.end <= len(sound)
        assert window.seconds <= options.window + 2 * options.pad
        np.testing.assert_array_equal(window.samples, sound[window.start : window.end])
        covered[window.start : window.end] = True
        first, last = window.start // FRAME, -(-window.end // FRAME)
        assert (said[first:last] >= options.leave).any(), "a window without speech"
    assert not found or (found[0].head == 0 and found[-1].tail == 0)
    for before, after in pairwise(found):
        assert before.tail == after.head == max(0, before.end - after.start)
        assert before.start < after.start and before.end < after.end
        assert before.tail in (0, round(options.overlap * RATE / FRAME) * FRAME)
    for frame in np.flatnonzero(said >= options.enter):
        assert covered[frame * FRAME : (frame + 1) * FRAME].all()


OPTIONS = st.builds(
    CutOptions,
    pause=st.sampled_from([0.03, 0.2, 0.5, 1.5]),
    window=st.sampled_from([1.0, 2.0, 3.3]),
    overlap=st.sampled_from([0.0, 0.1, 0.5]),
    pad=st.sampled_from([0.0, 0.1, 0.3]),
    first=st.sampled_from([math.inf, 0.5, 1.5]),
)
RUNS = st.lists(
    st.tuples(st.integers(1, 70), st.sampled_from([0.0, 0.1, 0.29, 0.3, 0.35, 0.39, 0.4, 0.7, 1.0])),
    min_size=1,
    max_size=12,
)
EXTRA = st.integers(0, FRAME - 1)


@settings(deadline=None, max_examples=150)
@given(runs=RUNS, options=OPTIONS, extra=EXTRA)
def test_windows_hold_all_speech_in_order(runs: Runs, options: CutOptions, extra: int) -> None:
    probabilities = script(runs)
    said = probabilities + probabilities[-1:] * (extra > 0)
    sound = numbered(len(probabilities) * FRAME + extra)
    check(windows(probabilities, options, extra=extra), np.array(said, np.float32), options, sound)


@settings(deadline=None, max_examples=60)
@given(
    runs=RUNS,
    options=OPTIONS,
    extra=EXTRA,
    sizes=st.lists(st.integers(1, 3 * RATE), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) > 200),
)
def test_the_pieces_make_no_difference(runs: Runs, options: CutOptions, extra: int, sizes: list[int]) -> None:
    pieces = windows(script(runs), options, extra=extra, sizes=tuple(sizes))
    whole = windows(script(runs), options, extra=extra, sizes=(1 << 30,))
    assert shape(pieces) == shape(whole)


def test_silence_and_nothing_give_no_window() -> None:
    assert Cutter(vad=Scripted(lambda frame: 0.0)).end() == []
    assert windows([0.39] * 4000) == []
    cutter = Cutter()
    assert cutter.feed(sounds.silence(20)) == cutter.feed(sounds.tone(20)) == cutter.end() == []
    cutter = Cutter()
    assert cutter.feed(np.zeros(0, np.int16)) == cutter.end() == []


def test_speech_begins_at_enter_and_lasts_until_leave() -> None:
    options = CutOptions(pad=0.0)
    assert spans(windows(script([(9, 0.39), (5, 0.41), (9, 0.31), (60, 0.29)]), options)) == [(9, 23)]
    assert spans(windows(script([(9, 0.39), (5, 0.41), (9, 0.29), (60, 0.31)]), options)) == [(9, 14)]


def test_short_pauses_stay_inside_and_long_ones_end_a_window_at_once() -> None:
    pad = 0.3 * RATE / FRAME
    short = script([(20, 0.0), (20, 1.0), (46, 0.0), (20, 1.0), (60, 0.0)])
    assert spans(windows(short)) == [(20 - pad, 106 + pad)]
    long = script([(20, 0.0), (20, 1.0), (47, 0.0), (20, 1.0), (60, 0.0)])
    assert spans(windows(long)) == [(20 - pad, 40 + pad), (87 - pad, 107 + pad)]
    cutter = Cutter(CLOSE, Scripted(long.__getitem__))
    assert cutter.feed(numbered(86 * FRAME)) == [], "the pause is not long enough yet"
    assert len(cutter.feed(numbered(FRAME))) == 1


def test_pads_end_with_the_recording() -> None:
    (window,) = windows(script([(30, 1.0)]), extra=100)
    assert (window.start, window.end) == (0, 30 * FRAME + 100)
    (window,) = windows(script([(5, 0.0), (30, 1.0), (5, 0.0)]), extra=100)
    assert (window.start, window.end) == (0, 40 * FRAME + 100)


def test_two_pads_do_not_share_sound() -> None:
    first, second = windows(script([(9, 1.0), (4, 0.0), (9, 1.0)]), CutOptions(pause=0.1, pad=0.3))
    assert first.end <= second.start and second.start - first.end < 4 * FRAME and first.tail == 0


def test_long_speech_is_cut_in_the_best_pause_of_its_second_half() -> None:
    """468 frames are the most; the longest silence lies too early, the deepest of the others wins."""
    runs = [(100, 1.0), (30, 0.0), (130, 1.0), (6, 0.0), (60, 1.0), (9, 0.0), (60, 1.0), (4, 0.0), (200, 1.0)]
    first, second = windows(script(runs))
    assert first.tail == second.head == 0
    assert first.end == second.start == (100 + 30 + 130 + 6 + 60) * FRAME + 9 * FRAME // 2


def test_a_wide_pause_is_not_transcribed() -> None:
    pad = round(0.3 * RATE)
    first, second = windows(script([(300, 1.0), (40, 0.0), (200, 1.0)]))
    assert first.end == 300 * FRAME + pad and second.start == 340 * FRAME - pad


def test_of_equal_pauses_the_later_one_is_taken() -> None:
    first, _ = windows(script([(250, 1.0), (8, 0.0), (80, 1.0), (8, 0.0), (200, 1.0)]))
    assert first.end == (250 + 8 + 80 + 4) * FRAME


def test_a_consonant_is_no_pause() -> None:
    first, second = windows(script([(300, 1.0), (3, 0.0), (200, 1.0)]))
    assert first.tail == second.head > 0


def test_speech_without_a_pause_is_cut_with_an_overlap() -> None:
    found = windows([1.0] * 2000)
    shared = 47 * FRAME
    assert [w.head for w in found] == [0, *[shared] * (len(found) - 1)]
    assert all(w.end - w.start == 468 * FRAME for w in found[:-1])
    assert found[-1].end == 2000 * FRAME
    assert all(after.start == before.end - shared for before, after in pairwise(found))


def test_the_first_window_is_shorter_if_there_is_a_pause() -> None:
    options = msgspec.structs.replace(CLOSE, first=5.0)
    speech = script([(100, 1.0), (8, 0.0), (600, 1.0), (8, 0.0), (300, 1.0)])
    first, second, *_ = windows(speech, options)
    assert first.end == second.start == 104 * FRAME and first.tail == 0
    assert second.end - second.start > 400 * FRAME, "only the first one is"
    assert windows([1.0] * 600, options)[0].end == 468 * FRAME, "nothing is torn for it"


def test_what_follows_a_cut_is_measured_from_there() -> None:
    found = windows(script([(240, 1.0), (12, 0.0), (467, 1.0), (60, 0.0)]))
    assert [w.tail for w in found] == [0, 0] and found[1].end > (240 + 12 + 467) * FRAME
    found = windows(script([(240, 1.0), (12, 0.0), (470, 1.0), (60, 0.0)]))
    assert [w.tail > 0 for w in found] == [False, True, False] and found[1].end == (240 + 12 + 468) * FRAME


@pytest.mark.parametrize(
    "wrong",
    [
        {"enter": 0.2},
        {"leave": 0.0},
        {"enter": 1.5},
        {"window": 0.5},
        {"pause": 0.0},
        {"pad": -0.1},
        {"overlap": 8.0},
        {"overlap": -1.0},
        {"window": float("nan")},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        CutOptions(**wrong)


def real(sound: sounds.Samples, size: int = RATE, options: CutOptions | None = None) -> list[Window]:
    cutter = Cutter(options)
    found = [w for at in range(0, len(sound), size) for w in cutter.feed(sound[at : at + size])]
    return found + cutter.end()


@pytest.mark.parametrize(
    "options", [CutOptions(), CutOptions(window=5.0, overlap=1.0), CutOptions(window=29.0)]
)
def test_real_speech(recordings: Path, options: CutOptions) -> None:
    sound = sounds.speech(recordings)
    found = real(sound, 7000, options)
    padded = np.concatenate([sound, np.zeros(-len(sound) % FRAME, np.int16)])
    check(found, Vad()(padded), options, sound)
    assert shape(found) == shape(real(sound, 1 << 30, options))
    # People pause: hardly a window has to be torn.
    assert sum(w.tail > 0 for w in found) <= len(found) / (3 if options.window < 10 else 6)


def test_real_speech_between_silences(recordings: Path) -> None:
    clips = [sounds.read(path) for path in sorted(recordings.glob("*_cuttledoc_*.ogg"))[:6]]
    gap = sounds.silence(3)
    found = real(np.concatenate([part for clip in clips for part in (gap, clip)] + [gap]))
    assert len(found) >= len(clips) and not any(w.head or w.tail for w in found)
    spoken = sum(len(clip) for clip in clips) / RATE
    assert spoken * 0.8 < sum(w.seconds for w in found) <= spoken + 1, "the silences cost nothing"


def test_real_speech_without_its_pauses(recordings: Path) -> None:
    sound = sounds.speech(recordings)
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    dense = frames[Vad()(frames.reshape(-1)) >= 0.5].reshape(-1)
    found = real(dense)
    assert sum(w.tail > 0 for w in found) >= len(found) / 2
    told = found[0].seconds + sum(w.seconds - w.head / RATE for w in found[1:])
    assert told == pytest.approx(len(dense) / RATE, rel=0.1)


@pytest.mark.parametrize("speech", ["talk", "silence", "monologue"])
def test_an_hour_costs_no_more_memory_than_a_minute(speech: str) -> None:
    says = {
        "talk": lambda frame: float(frame % 150 < 140),
        "silence": lambda frame: 0.0,
        "monologue": lambda frame: 1.0,
    }[speech]
    second = sounds.tone(1)
    tracemalloc.start()
    try:
        cutter = Cutter(vad=Scripted(says))
        count = sum(len(cutter.feed(second)) for _ in range(3600)) + len(cutter.end())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20
    assert count == 0 if speech == "silence" else 240 <= count <= 300
