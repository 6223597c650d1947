"""From a file in any of the API's containers to sections of sound: 16 kHz, mono, float32.

Decoding is a stream: at most one section is held, whatever the length of the recording. Error texts are
fixed; FFmpeg's own never leave this module.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, BinaryIO, NoReturn

import av
import msgspec
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from antiphon.errors import AudioTooShort, InvalidAudio, TooLarge
from antiphon.workers.speech.sniff import UNREADABLE, demuxer

RATE = 16_000
SECTION_SECONDS = 120
"""Longest section: transcribing one takes about 0.5 MiB a second, and that sets the memory."""
SEARCH_SECONDS = 20
"""A section is cut at the quietest moment of its last seconds, so that no word is torn."""
_QUIET = RATE // 5
_MINIMUM = RATE // 10

_STATES_LENGTH = {"flac", "ogg", "matroska", "mov"}
"""Containers that state their length; that of others FFmpeg guesses from the bit rate."""
_CODECS = frozenset(
    "aac ac3 adpcm_ima_qt adpcm_ima_wav adpcm_ms alac amrnb amrwb eac3 flac gsm_ms libopus libspeex "
    "libvorbis mp1 mp1float mp2 mp2float mp3 mp3float opus pcm_alaw pcm_f32be pcm_f32le pcm_f64be "
    "pcm_f64le pcm_mulaw pcm_s16be pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 "
    "speex vorbis".split()
)
_RATES = range(4_000, 384_001)
_CHANNELS = range(1, 33)
_HEAVIEST = 8 * 96_000
"""Most samples a second, over all channels: an hour of that takes some ten seconds to decode."""


class Section(msgspec.Struct, frozen=True):
    """A stretch of sound: where it begins, in samples, and its samples, float32 in -1..1."""

    start: int
    samples: NDArray[np.float32]

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


def seconds(file: BinaryIO, limit: float, step: Callable[[], None]) -> float:
    """How long the sound is that `sections` gives, and whatever that would raise. Keeps nothing of it."""
    with closing(_samples(file, limit, step)) as pieces:
        return sum(len(piece) for piece in pieces) / RATE


def sections(file: BinaryIO, limit: float, step: Callable[[], None]) -> Iterator[Section]:
    """The sound of a recording's first audio track, in order and without gaps.

    `limit` is the longest recording accepted, in seconds; `step` is called before each piece of work and may
    raise. A damaged file gives what can be decoded. Raises `InvalidAudio` (not a recording, or one without
    sound), `AudioTooShort` (under 0.1 s) and `TooLarge` (at once when the file says that it is longer).
    """
    held = np.empty(SECTION_SECONDS * RATE, np.int16)
    filled = start = 0
    with closing(_samples(file, limit, step)) as pieces:
        for piece in pieces:
            while len(piece):
                taken = piece[: len(held) - filled]
                held[filled : filled + len(taken)] = taken
                filled, piece = filled + len(taken), piece[len(taken) :]
                if filled == len(held):
                    cut = _quietest(held)
                    yield _section(start, held[:cut])
                    rest = filled - cut
                    held[:rest] = held[cut:].copy()
                    start, filled = start + cut, rest
    if filled:
        yield _section(start, held[:filled])


def _section(start: int, samples: NDArray[np.int16]) -> Section:
    return Section(start, samples.astype(np.float32) / np.float32(32768))


def _quietest(samples: NDArray[np.int16]) -> int:
    """The middle of the quietest fifth of a second among the last `SEARCH_SECONDS`."""
    first = len(samples) - SEARCH_SECONDS * RATE
    moments = samples[first:].astype(np.float32).reshape(-1, _QUIET)
    return first + int(np.square(moments).sum(axis=1).argmin()) * _QUIET + _QUIET // 2


def _samples(file: BinaryIO, limit: float, step: Callable[[], None]) -> Generator[NDArray[np.int16]]:
    """Pieces of sound, each at most a few seconds long; `limit` seconds in all, and not too few."""
    count = 0
    with closing(_decoded(file, limit, step)) as pieces:
        for piece in pieces:
            count += len(piece)
            if count > limit * RATE:
                raise _too_long(limit)
            yield piece
    if count < _MINIMUM:
        raise AudioTooShort() if count else InvalidAudio(UNREADABLE)


def _decoded(file: BinaryIO, limit: float, step: Callable[[], None]) -> Generator[NDArray[np.int16]]:
    name = demuxer(file)
    try:
        with _open(file, name) as container:
            track = _track(container)
            if name in _STATES_LENGTH and container.duration and container.duration > limit * av.time_base:
                raise _too_long(limit)
            yield from _resampled(_frames(container, track, step))
    except (av.FFmpegError, ValueError, UnicodeError):
        raise InvalidAudio(UNREADABLE) from None


def _open(file: BinaryIO, name: str) -> InputContainer:
    return av.open(
        file,
        "r",
        format=name,
        metadata_errors="ignore",
        container_options={"codec_whitelist": ",".join(sorted(_CODECS))},
        io_open=_no_further_file,
    )


def _no_further_file(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    """A recording is one file: what it refers to is never opened."""
    raise ValueError("a recording refers to another file")


def _track(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise InvalidAudio("The file has no audio track." if len(container.streams) else UNREADABLE)
    track = container.streams.audio[0]
    # Absurd rates and channel counts turn a few bytes into gigabytes of samples.
    if (
        track.codec_context is None
        or track.codec_context.name not in _CODECS
        or not _bearable(track.codec_context.sample_rate, track.codec_context.channels)
    ):
        raise InvalidAudio(UNREADABLE)
    return track


def _frames(container: InputContainer, track: AudioStream, step: Callable[[], None]) -> Iterator[AudioFrame]:
    """What can be decoded: damaged packets are passed over, a damaged container ends the sound."""
    packets = container.demux(track)
    while True:
        step()
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame) and _bearable(frame.sample_rate, frame.layout.nb_channels):
                yield frame


def _bearable(rate: int, channels: int) -> bool:
    return rate in _RATES and channels in _CHANNELS and rate * channels <= _HEAVIEST


def _resampled(frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.int16]]:
    shape: tuple[str, str, int] | None = None
    resampler: AudioResampler | None = None
    for frame in frames:
        frame.pts = None  # Timestamps that jump would be refused; the samples count.
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != shape:
            if resampler is not None:
                yield from _arrays(resampler.resample(None))
            shape, resampler = found, AudioResampler(format="s16", layout="mono", rate=RATE)
        yield from _arrays(resampler.resample(frame))
    if resampler is not None:
        yield from _arrays(resampler.resample(None))


def _arrays(frames: list[AudioFrame]) -> Iterator[NDArray[np.int16]]:
    for frame in frames:
        yield frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def _too_long(limit: float) -> TooLarge:
    return TooLarge(
        f"The recording is too long. The longest accepted is {limit:g} seconds of sound.",
        param="file",
        code="audio_too_long",
    )
