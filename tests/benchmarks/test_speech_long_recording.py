"""Long recordings made of clips: the order, the pauses, and the sound that comes out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from benchmarks.recordings import Recording, read
from benchmarks.speech.long_recording import (
    PAUSES,
    RATE,
    Piece,
    arrange,
    balanced,
    build,
    decode,
    reference,
)
from hypothesis import given
from hypothesis import strategies as st


def clip(number: int, seconds: float, language: str = "en") -> Recording:
    return Recording(Path(f"{number}.ogg"), seconds, language, f"words of {number}")


def length(pieces: list[Piece]) -> float:
    return sum(piece.clip.seconds + piece.pause for piece in pieces)


@given(
    lengths=st.lists(st.floats(1.0, 60.0), min_size=2, max_size=12),
    seconds=st.floats(0.0, 900.0),
    seed=st.integers(0, 2**32),
)
def test_no_clip_stands_next_to_itself_and_all_fits(lengths: list[float], seconds: float, seed: int) -> None:
    clips = [clip(number, one) for number, one in enumerate(lengths)]
    pieces = arrange(clips, seconds, seed)
    assert all(before.clip is not after.clip for before, after in pairwise(pieces))
    assert all(PAUSES[0] <= piece.pause <= PAUSES[1] for piece in pieces)
    assert length(pieces) <= seconds


def test_it_is_as_long_as_it_can_be() -> None:
    clips = [clip(number, 10.0) for number in range(5)]
    pieces = arrange(clips, 600.0)
    assert length(pieces) > 600.0 - 10.0 - PAUSES[1]
    uses = Counter(piece.clip.path for piece in pieces)
    assert max(uses.values()) - min(uses.values()) <= 1


def test_the_seed_decides_the_order() -> None:
    clips = [clip(number, 5.0) for number in range(9)]
    assert arrange(clips, 120.0, seed=1) == arrange(clips, 120.0, seed=1)
    assert arrange(clips, 120.0, seed=1) != arrange(clips, 120.0, seed=2)


def test_one_clip_is_not_enough() -> None:
    with pytest.raises(ValueError, match="two clips"):
        arrange([clip(0, 5.0)], 60.0)


def test_balanced_takes_as_many_of_each_language() -> None:
    clips = [clip(n, 5.0, language) for n, language in enumerate(("en", "en", "de", "en", "fr", "de"))]
    assert [one.path.stem for one in balanced(clips)] == ["0", "2", "4"]


def test_the_reference_is_what_the_clips_say() -> None:
    assert reference([Piece(clip(3, 1.0), 0.5), Piece(clip(1, 1.0), 0.5)]) == "words of 3 words of 1"


def test_the_file_holds_clips_and_silence(recordings: Path, tmp_path: Path) -> None:
    first, second = (one for one in read(recordings) if one.seconds < 2)
    pieces = [Piece(first, 1.0), Piece(second, 0.5)]
    path = build(pieces, tmp_path)
    sound = decode(path).astype(float)

    assert len(sound) / RATE == pytest.approx(first.seconds + second.seconds + 1.5, abs=0.2)
    start = round(first.seconds * RATE)
    silence, speech = sound[start + RATE // 4 : start + 3 * RATE // 4], sound[:start]
    assert np.abs(silence).mean() < 0.01 * np.abs(speech).mean()


def test_a_file_that_is_there_is_kept(recordings: Path, tmp_path: Path) -> None:
    pieces = [Piece(one, 0.5) for one in read(recordings) if one.seconds < 2]
    path = build(pieces, tmp_path)
    path.write_bytes(b"kept")
    assert build(pieces, tmp_path) == path and path.read_bytes() == b"kept"
    assert build(pieces[::-1], tmp_path) != path
