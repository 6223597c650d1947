from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.workers.speech.frames import (
    LONGEST,
    Broken,
    Frame,
    Frames,
    Kind,
    number,
    pack,
    pack_number,
)

messages = st.lists(st.builds(Frame, st.sampled_from(Kind), st.binary(max_size=300)), max_size=8)


def taken(frames: Frames) -> list[Frame]:
    return list(iter(frames.take, None))


@given(messages, st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_messages_arrive_however_the_stream_is_torn(sent: list[Frame], sizes: list[int]) -> None:
    stream = b"".join(pack(frame.kind, frame.content) for frame in sent)
    frames, found, at = Frames(), [], 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        frames.feed(stream[at : at + size])
        found += taken(frames)
        at += size
    assert found == sent and frames.take() is None


def test_the_longest_message_is_a_second_of_sound() -> None:
    frames = Frames()
    frames.feed(pack(Kind.SAMPLES, bytes(LONGEST)))
    assert taken(frames) == [Frame(Kind.SAMPLES, bytes(LONGEST))]
    frames.feed(struct.pack("<BH", Kind.SAMPLES, LONGEST + 1))
    with pytest.raises(Broken):
        frames.take()


@given(st.integers(len(Kind), 255))
def test_a_message_of_no_known_kind_is_refused_before_it_is_whole(kind: int) -> None:
    frames = Frames()
    frames.feed(struct.pack("<BH", kind, 20))
    with pytest.raises(Broken):
        frames.take()


@given(st.binary(max_size=2000))
def test_any_bytes_are_messages_or_broken(data: bytes) -> None:
    frames = Frames()
    frames.feed(data)
    try:
        found = taken(frames)
    except Broken:
        return
    assert data.startswith(b"".join(pack(frame.kind, frame.content) for frame in found))


@given(st.floats(allow_nan=False))
def test_numbers_survive(value: float) -> None:
    assert number(pack_number(value)) == value


@given(st.binary(max_size=20).filter(lambda content: len(content) != 8))
def test_what_is_no_number_is_refused(content: bytes) -> None:
    with pytest.raises(Broken):
        number(content)
