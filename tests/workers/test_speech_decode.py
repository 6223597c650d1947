from __future__ import annotations

import errno
import io
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

import sounds
from antiphon.errors import AntiphonError, AudioTooShort, ClientGone, InvalidAudio, TooLarge
from antiphon.workers.speech import decode
from antiphon.workers.speech.decode import samples, scan
from antiphon.workers.speech.sniff import UNREADABLE, demuxer
from antiphon.workers.speech.values import RATE


def idle() -> None:
    """A step that lets the work go on."""


def decoded(data: bytes, limit: float = 3600) -> sounds.Samples:
    """All samples; every piece but the last is a second long."""
    pieces = list(samples(io.BytesIO(data), limit, idle))
    assert all(len(piece) == RATE for piece in pieces[:-1]) and 0 < len(pieces[-1]) <= RATE
    assert all(piece.dtype == np.int16 for piece in pieces)
    return np.concatenate(pieces)


def seconds(data: bytes, limit: float = 3600) -> float:
    return len(decoded(data, limit)) / RATE


def scanned(data: bytes, limit: float = 3600) -> float:
    return scan(io.BytesIO(data), limit, idle)


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
    found = decoded(sounds.encode(sounds.tone(2), name))
    assert len(found) == pytest.approx(2 * RATE, abs=0.15 * RATE)
    middle = found[RATE // 2 : RATE].astype(np.float32) / 32768
    assert 0.1 < float(np.sqrt(np.mean(middle**2))) < 0.3
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() * RATE / len(middle) == pytest.approx(440, abs=4)


def test_stereo_is_mixed_to_one_channel() -> None:
    pair = np.stack([sounds.tone(1), sounds.silence(1)], axis=1)
    found = decoded(wav(pair.tobytes(), channels=2))
    assert len(found) == RATE
    assert 0.05 * 32768 < int(np.abs(found).max()) < 0.2 * 32768


def test_lossless_sound_comes_as_it_was() -> None:
    sound = np.random.default_rng(5).integers(-32768, 32768, 3 * RATE + 77, dtype=np.int16)
    for name in ("wav", "flac", "oga", "mkv"):
        assert np.array_equal(decoded(sounds.encode(sound, name)), sound)


@pytest.mark.parametrize("name", sounds.CONTAINERS)
def test_a_scan_tells_what_decoding_gives_without_decoding(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sounds.encode(sounds.tone(30), name)
    exact = seconds(data)
    monkeypatch.setattr(decode, "_decoded", None)
    assert scanned(data) == pytest.approx(exact, abs=0.12)


def test_a_scan_is_exact_for_less_than_a_second() -> None:
    for name in sounds.CONTAINERS:
        data = sounds.encode(sounds.tone(0.5), name)
        assert scanned(data) == seconds(data)


def test_a_scan_of_real_recordings_is_near(recordings: Path) -> None:
    for path in sorted(recordings.glob("*_*.*")):
        data = path.read_bytes()
        assert scanned(data) == pytest.approx(seconds(data), abs=0.02)


def test_a_scan_decodes_where_packets_do_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matroska leaves the length of AAC packets to whoever decodes them."""
    monkeypatch.setitem(sounds.CONTAINERS, "mka", ("matroska", "aac", 16_000))
    data = sounds.encode(sounds.tone(5), "mka")
    assert scanned(data) == seconds(data)
    monkeypatch.setattr(decode, "_decoded", None)
    with pytest.raises(TypeError):
        scanned(data)


@pytest.mark.parametrize("name", ["mp3", "wav", "flac", "ogg", "mp4", "webm"])
def test_a_scan_refuses_what_is_longer_than_the_limit(name: str) -> None:
    with pytest.raises(TooLarge) as refusal:
        scanned(sounds.encode(sounds.tone(12), name), limit=10)
    assert refusal.value.code == "audio_too_long"


def test_a_scan_never_tells_more_than_the_limit() -> None:
    data = sounds.encode(sounds.tone(10), "mp3")
    assert scanned(data) > 10 and scanned(data, limit=10) == 10


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
    with pytest.raises(InvalidAudio):
        scanned(data)
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


@pytest.mark.requirement("R15")
@pytest.mark.parametrize("name", ["mp3", "flac", "ogg", "webm", "mp4", "wav", "mpeg"])
def test_flipped_bits_never_show_the_inside(name: str) -> None:
    whole = sounds.encode(sounds.tone(1), name)
    random = np.random.default_rng(7)
    for _ in range(25):
        data = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(data), 20)
        data[places] ^= random.integers(1, 256, 20, dtype=np.uint8)
        for work in (decoded, scanned):
            try:
                work(data.tobytes(), limit=600)
            except AntiphonError as refusal:
                assert refusal.status in (400, 413)


@pytest.mark.parametrize("name", ["mp4", "matroska"])
def test_a_film_without_sound_is_refused_as_such(name: str) -> None:
    with pytest.raises(InvalidAudio, match="The file has no audio track."):
        decoded(sounds.video(name))
    with pytest.raises(InvalidAudio, match="The file has no audio track."):
        scanned(sounds.video(name))


def test_less_than_a_tenth_of_a_second_is_too_short() -> None:
    for work in (decoded, scanned):
        with pytest.raises(AudioTooShort):
            work(sounds.encode(sounds.tone(0.09)))
    assert seconds(sounds.encode(sounds.tone(0.1))) == pytest.approx(0.1)


def test_a_stated_length_past_the_limit_is_refused_before_decoding() -> None:
    file = io.BytesIO(sounds.encode(sounds.silence(600), "flac"))
    with pytest.raises(TooLarge) as refusal:
        next(samples(file, 599, _never))
    with pytest.raises(TooLarge):
        scan(file, 599, _never)
    assert (refusal.value.status, refusal.value.code) == (413, "audio_too_long")
    assert "599 seconds" in refusal.value.message
    assert seconds(file.getvalue(), limit=600) == 600


def _never() -> None:
    raise AssertionError("decoding began")


@pytest.mark.requirement("R7")
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
from antiphon.workers.speech.decode import samples
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for piece in samples(open(sys.argv[1], "rb"), 3600, lambda: None):
        del piece
except TooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    ran = subprocess.run([sys.executable, "-c", code, str(bomb)], capture_output=True, timeout=60, check=True)
    assert int(ran.stdout) < 64 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_decoding_starts_no_threads() -> None:
    before = os.listdir("/proc/self/task")
    with closing(samples(io.BytesIO(sounds.encode(sounds.tone(60), "mp4")), 3600, idle)) as pieces:
        next(pieces)
        assert os.listdir("/proc/self/task") == before


class _Hungry:
    """A container, and a packet, for which there is no memory."""

    def demux(self, track: object) -> Iterator[_Hungry]:
        yield self
        raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")

    def decode(self) -> list[object]:
        raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")


def test_a_want_of_memory_is_not_the_end_of_the_recording() -> None:
    packets = decode._packets(_Hungry(), None, idle)  # type: ignore[arg-type]
    assert next(packets)
    with pytest.raises(MemoryError):
        next(packets)
    with pytest.raises(MemoryError):
        next(decode._frames(_Hungry(), None, idle))  # type: ignore[arg-type]


def frame(layout: str, rate: int, value: int) -> AudioFrame:
    """Twenty milliseconds of one value."""
    channels = {"mono": 1, "stereo": 2}[layout]
    made = AudioFrame.from_ndarray(np.full((1, channels * rate // 50), value, np.int16), layout=layout)
    made.sample_rate = rate
    return made


@pytest.mark.parametrize("rates", [(16_000, 16_000), (44_100, 22_050), (8_000, 48_000)])
def test_a_recording_may_change_its_shape_all_the_time(
    rates: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    real = decode._resampler
    monkeypatch.setattr(decode, "_resampler", lambda *shape: made.append(shape) or real(*shape))
    frames = [frame(("mono", "stereo")[n % 2], rates[n % 2], 4000) for n in range(500)]
    found = np.concatenate(list(decode._resampled(iter(frames))))
    assert len(made) == 2
    assert len(found) == pytest.approx(10 * RATE, abs=2)
    assert np.abs(found[100:-100].astype(int) - 4000).max() < 400


def test_of_many_shapes_the_latest_resamplers_are_kept() -> None:
    shapes = [8_000 + 50 * n for n in range(3 * decode._SHAPES)]
    frames = [frame("mono", rate, 4000) for _ in range(2) for rate in shapes]
    found = np.concatenate(list(decode._resampled(iter(frames))))
    assert len(found) == pytest.approx(len(frames) * RATE / 50, abs=len(frames))


def test_work_ends_when_a_step_says_so() -> None:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise ClientGone("gone")

    with pytest.raises(ClientGone):
        list(samples(io.BytesIO(sounds.encode(sounds.tone(60), "mp3")), 3600, step))
    assert steps == 3


@pytest.mark.requirement("R23")
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
