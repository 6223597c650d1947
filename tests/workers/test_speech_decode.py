from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sounds
from antiphon.errors import AntiphonError, AudioTooShort, ClientGone, InvalidAudio, TooLarge
from antiphon.workers.speech import decode
from antiphon.workers.speech.decode import RATE, Section, sections
from antiphon.workers.speech.sniff import UNREADABLE, demuxer


def decoded(data: bytes, limit: float = 3600) -> list[Section]:
    """The sections. How long they are, or why there are none, is always known without them as well."""
    try:
        length = decode.seconds(io.BytesIO(data), limit, lambda: None)
    except AntiphonError as problem:
        with pytest.raises(type(problem)) as refusal:
            list(sections(io.BytesIO(data), limit, lambda: None))
        assert refusal.value.message == problem.message and refusal.value.code == problem.code
        raise
    found = list(sections(io.BytesIO(data), limit, lambda: None))
    assert length == found[-1].end / RATE
    return found


def seconds(data: bytes, limit: float = 3600) -> float:
    return decoded(data, limit)[-1].end / RATE


def wav(pcm: bytes, *, size: int | None = None, channels: int = 1, rate: int = RATE) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 * channels, 2 * channels, 16)
    length = len(pcm) if size is None else size
    return (
        b"RIFF\xff\xff\xff\xffWAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", length)
        + pcm
    )


@pytest.mark.parametrize("name", sounds.CONTAINERS)
def test_every_container_gives_its_sound(name: str) -> None:
    (section,) = decoded(sounds.encode(sounds.tone(2), name))
    assert section.start == 0 and section.samples.dtype == np.float32
    assert len(section.samples) == pytest.approx(2 * RATE, abs=0.15 * RATE)
    middle = section.samples[RATE // 2 : RATE]
    assert 0.1 < float(np.sqrt(np.mean(middle**2))) < 0.3
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * RATE / len(middle) == pytest.approx(440, abs=4)


def test_stereo_is_mixed_to_one_channel() -> None:
    pair = np.stack([sounds.tone(1), sounds.silence(1)], axis=1)
    (section,) = decoded(wav(pair.tobytes(), channels=2))
    assert len(section.samples) == RATE
    assert 0.05 < float(np.abs(section.samples).max()) < 0.2


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_lying_length_is_no_reason_to_refuse(size: int) -> None:
    assert seconds(wav(sounds.tone(1).tobytes(), size=size), limit=10) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a recording, only text",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"\xff\xf1\x50\x80\x00\x1f\xfc" + bytes(64),
        wav(b""),
        wav(sounds.tone(1).tobytes(), rate=1),
        wav(bytes(4000), channels=1000),
        b"OggS" + bytes(5000),
        b"fLaC" + bytes(5000),
        b"\x1aE\xdf\xa3" + bytes(5000),
        b"\0\0\0\x14ftypisom" + bytes(5000),
        b"ID3\4\0\0\0\0\7\x76" + bytes(5000),
        bytes(5000),
    ],
)
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidAudio) as refusal:
        decoded(data)
    assert refusal.value.message == UNREADABLE
    assert (refusal.value.status, refusal.value.param, refusal.value.code) == (400, "file", None)


@pytest.mark.parametrize("name", sounds.CONTAINERS)
@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_a_cut_off_file_gives_what_is_left_of_it_or_is_refused(name: str, part: float) -> None:
    noise = np.random.default_rng(3).normal(0, 2000, 10 * RATE).astype(np.int16)
    whole = sounds.encode(noise, name)
    try:
        found = seconds(whole[: int(len(whole) * part)])
    except InvalidAudio:
        # An MP4 keeps its table at the end; of the others half a file is half the sound.
        assert part == 0.01 or name in ("mp4", "m4a", "mov")
    else:
        # Ogg loses the page that is torn, about a second.
        assert found == pytest.approx(10 * part, abs=1.3)


@pytest.mark.parametrize("name", ["mp3", "flac", "ogg", "webm", "mpga"])
def test_damage_in_the_middle_loses_only_that(name: str) -> None:
    data = bytearray(sounds.encode(sounds.tone(4), name))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    assert seconds(bytes(data)) == pytest.approx(4, abs=1.2)


@pytest.mark.parametrize("name", ["mp3", "flac", "ogg", "webm", "mp4", "wav", "mpeg"])
def test_flipped_bits_never_show_the_inside(name: str) -> None:
    whole = sounds.encode(sounds.tone(1), name)
    random = np.random.default_rng(7)
    for _ in range(25):
        data = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(data), 20)
        data[places] ^= random.integers(1, 256, 20, dtype=np.uint8)
        try:
            decoded(data.tobytes(), limit=600)
        except AntiphonError as refusal:
            assert refusal.status in (400, 413)


@pytest.mark.parametrize("name", ["mp4", "matroska"])
def test_a_film_without_sound_is_refused_as_such(name: str) -> None:
    with pytest.raises(InvalidAudio, match="The file has no audio track."):
        decoded(sounds.video(name))


def test_less_than_a_tenth_of_a_second_is_too_short() -> None:
    with pytest.raises(AudioTooShort):
        decoded(sounds.encode(sounds.tone(0.09)))
    assert seconds(sounds.encode(sounds.tone(0.1))) == pytest.approx(0.1)


def test_a_long_recording_comes_in_sections_cut_where_it_is_quiet() -> None:
    loud, pause = sounds.tone(108), sounds.silence(1)
    whole = np.concatenate([loud, pause, sounds.tone(91)])
    first, second = decoded(sounds.encode(whole))
    assert first.start == 0 and second.start == first.end and second.end == len(whole)
    assert 108 * RATE < first.end < 109 * RATE
    joined = np.concatenate([first.samples, second.samples])
    assert np.array_equal(joined, whole.astype(np.float32) / 32768)


def test_a_section_is_never_longer_than_the_bound() -> None:
    found = decoded(sounds.encode(sounds.tone(400)))
    assert all(len(section.samples) <= decode.SECTION_SECONDS * RATE for section in found)
    assert [section.start for section in found[1:]] == [section.end for section in found[:-1]]


def test_a_stated_length_past_the_limit_is_refused_before_decoding() -> None:
    file = io.BytesIO(sounds.encode(sounds.silence(600), "flac"))
    with pytest.raises(TooLarge) as refusal:
        next(sections(file, 599, _never))
    assert (refusal.value.status, refusal.value.code) == (413, "audio_too_long")
    assert "599 seconds" in refusal.value.message
    assert seconds(file.getvalue(), limit=600) == 600


def _never() -> None:
    raise AssertionError("decoding began")


@pytest.mark.parametrize("name", ["mp3", "wav", "flac", "ogg"])
def test_an_unstated_length_is_refused_when_it_passes_the_limit(name: str) -> None:
    data = sounds.encode(sounds.tone(130), name)
    if name == "flac":
        data = sounds.without_length(data)
    with pytest.raises(TooLarge):
        decoded(data, limit=129)


def test_a_bomb_ends_within_a_bounded_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(sounds.without_length(sounds.encode(sounds.silence(4000), "flac")))
    assert bomb.stat().st_size < 1_000_000
    code = """
import resource, sys
from antiphon.errors import TooLarge
from antiphon.workers.speech.decode import sections
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for section in sections(open(sys.argv[1], "rb"), 3600, lambda: None):
        del section
except TooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    ran = subprocess.run([sys.executable, "-c", code, str(bomb)], capture_output=True, timeout=60, check=True)
    assert int(ran.stdout) < 64 * 1024


def test_work_ends_when_a_step_says_so() -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise ClientGone("gone")

    with pytest.raises(ClientGone):
        list(sections(io.BytesIO(sounds.encode(sounds.tone(60), "mp3")), 3600, step))
    assert steps == 3


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"ID3\4\0\0\0\0\0\0fLaC", "flac"),
        (b"ID3\4\0\0\0\0\0\0\xff\xfb\x90\x64", "mp3"),
        (b"\0\0\0\0\xff\xfb\x90\x64", "mp3"),
        (b"\0\0\0\x08free\0\0\0\0", "mov"),
        (b"RF64\xff\xff\xff\xffWAVE", "wav"),
    ],
)
def test_containers_are_told_by_content(head: bytes, name: str) -> None:
    assert demuxer(io.BytesIO(head)) == name
