"""Recordings made by the tests: any container, any damage."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

CONTAINERS = {
    # As clients name them: FFmpeg's muxer, codec and a rate that the codec allows.
    "wav": ("wav", "pcm_s16le", 16_000),
    "mp3": ("mp3", "mp3", 16_000),
    "mpga": ("mp2", "mp2", 16_000),
    "mpeg": ("mpeg", "mp2", 48_000),
    "mp4": ("mp4", "aac", 16_000),
    "m4a": ("ipod", "aac", 16_000),
    "mov": ("mov", "aac", 16_000),
    "webm": ("webm", "libopus", 48_000),
    "mkv": ("matroska", "flac", 16_000),
    "flac": ("flac", "flac", 16_000),
    "ogg": ("ogg", "libopus", 48_000),
    "oga": ("ogg", "flac", 16_000),
}


def tone(seconds: float, hertz: float = 440.0, rate: int = 16_000) -> Samples:
    return (np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * hertz / rate) * 8000).astype(np.int16)


def silence(seconds: float, rate: int = 16_000) -> Samples:
    return np.zeros(int(seconds * rate), np.int16)


def read(path: Path) -> Samples:
    """A recording of `tests/data` as 16 kHz mono samples."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    with av.open(str(path)) as container:
        frames = [g for frame in container.decode(audio=0) for g in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def speech(recordings: Path) -> Samples:
    """A minute and more of English that does not repeat itself, in several windows of Whisper's."""
    return np.concatenate([read(path) for path in sorted(recordings.glob("en_*"))])


def encode(samples: Samples, name: str = "wav", rate: int = 16_000, bits: int | None = None) -> bytes:
    """Samples in one of `CONTAINERS`; `bits` a second, if the codec's own choice is too many."""
    muxer, codec, codec_rate = CONTAINERS[name]
    return mux(muxer, codec, codec_rate, samples, rate=rate, bits=bits)


def mux(
    muxer: str,
    codec: str,
    codec_rate: int,
    *tracks: Samples,
    rate: int = 16_000,
    bits: int | None = None,
    layout: str = "mono",
    picture: bool = False,
) -> bytes:
    """Audio tracks, of samples at `rate`, in any container of FFmpeg's, behind a picture if there is one."""
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        shown = _picture(container) if picture else None
        streams = [container.add_stream(codec, rate=codec_rate, layout=layout) for _ in tracks]
        if shown is not None:
            _show(container, shown)
        for stream, samples in zip(streams, tracks, strict=True):
            if bits is not None:
                stream.bit_rate = bits
            resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=codec_rate)
            for frame in _frames(samples, rate):
                for resampled in resampler.resample(frame):
                    container.mux(stream.encode(resampled))
            container.mux(stream.encode(None))
    return file.getvalue()


def _frames(samples: Samples, rate: int) -> Iterator[av.AudioFrame]:
    for first in range(0, len(samples), rate):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + rate], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, first
        yield frame


def video(name: str = "mp4") -> bytes:
    """A film without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=name) as container:
        _show(container, _picture(container))
    return file.getvalue()


def _picture(container: Any) -> Any:
    stream = container.add_stream("mpeg4", rate=5)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
    return stream


def _show(container: Any, stream: Any) -> None:
    for _ in range(5):
        container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
    container.mux(stream.encode(None))


def without_length(flac: bytes) -> bytes:
    """A FLAC file that does not say how long it is, as a streaming encoder leaves it."""
    assert flac[:4] == b"fLaC" and flac[4] & 127 == 0
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]
