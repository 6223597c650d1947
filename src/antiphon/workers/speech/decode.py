"""From a file in any of the API's containers to samples: 16 kHz, mono, int16.

Decoding is a stream: about one second is held, whatever the length of the recording. Error texts are fixed;
FFmpeg's own never leave this module.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, BinaryIO, NoReturn

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from numpy.typing import NDArray

from antiphon.errors import AudioTooShort, InvalidAudio
from antiphon.workers.speech.refusals import NO_TRACK, too_long
from antiphon.workers.speech.sniff import UNREADABLE, demuxer
from antiphon.workers.speech.values import RATE

_MINIMUM = RATE // 10
_DOUBTED = 1.0
"""Seconds: packets that claim to be less than this in all are decoded, which is quick unless they lie."""
PRIMING = 0.5
"""Seconds over the limit that are no sound of the recording's: what a codec needs before and behind it."""

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
_SHAPES = 32
"""Resamplers that are kept: more than an MP3 has rates and channels."""


def samples(file: BinaryIO, limit: float, step: Callable[[], None]) -> Generator[NDArray[np.int16]]:
    """The sound of a recording's first audio track: pieces of one second, the last one shorter.

    `limit` is the longest recording accepted, in seconds, `PRIMING` aside; `step` is called before each piece
    of work and may raise. A damaged file gives what can be decoded. Raises `InvalidAudio` (not a recording,
    or one without sound), `AudioTooShort` (under 0.1 s) and `TooLarge` (at once when the file says that it is
    longer).
    """
    count = 0
    with closing(_seconds_long(_decoded(file, limit, step))) as pieces:
        for piece in pieces:
            count += len(piece)
            if count > (limit + PRIMING) * RATE:
                raise too_long(limit)
            yield piece
    if count < _MINIMUM:
        raise AudioTooShort() if count else InvalidAudio(UNREADABLE)


def scan(file: BinaryIO, limit: float, step: Callable[[], None]) -> float:
    """Seconds of sound, told by the packets of the first audio track without decoding them.

    Off by what codecs add at both ends; a file may lie here, `samples` cannot. Where packets do not tell, the
    sound is decoded. Raises what `samples` raises, as far as that shows.
    """
    told = _told(file, limit, step)
    if told is not None and told >= _DOUBTED:
        return told
    with closing(samples(file, limit, step)) as pieces:
        return min(sum(len(piece) for piece in pieces) / RATE, limit)


def _told(file: BinaryIO, limit: float, step: Callable[[], None]) -> float | None:
    """The sum of the packets' durations in seconds; None if one of them has none."""
    with _opened(file, limit) as (container, track):
        if track.time_base is None:
            return None
        ticks, most = 0, int((limit + PRIMING) / track.time_base)
        for packet in _packets(container, track, step):
            if packet.size == 0:
                continue
            if not packet.duration or packet.duration < 0:
                return None
            ticks += packet.duration
            if ticks > most:
                raise too_long(limit)
        return min(float(ticks * track.time_base), limit)


def _seconds_long(pieces: Generator[NDArray[np.int16]]) -> Generator[NDArray[np.int16]]:
    """The same samples in pieces of one second, each an array of its own."""
    held, filled = np.empty(RATE, np.int16), 0
    with closing(pieces):
        for piece in pieces:
            while len(piece):
                taken = piece[: RATE - filled]
                held[filled : filled + len(taken)] = taken
                filled, piece = filled + len(taken), piece[len(taken) :]
                if filled == RATE:
                    yield held
                    held, filled = np.empty(RATE, np.int16), 0
    if filled:
        yield held[:filled]


def _decoded(file: BinaryIO, limit: float, step: Callable[[], None]) -> Generator[NDArray[np.int16]]:
    with _opened(file, limit) as (container, track):
        yield from _resampled(_frames(container, track, step))


@contextmanager
def _opened(file: BinaryIO, limit: float) -> Iterator[tuple[InputContainer, AudioStream]]:
    """A recording and its first audio track; whatever FFmpeg says meanwhile becomes `InvalidAudio`."""
    name = demuxer(file)
    try:
        with _open(file, name) as container:
            track = _track(container)
            most = (limit + PRIMING) * av.time_base
            if name in _STATES_LENGTH and container.duration and container.duration > most:
                raise too_long(limit)
            yield container, track
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
        raise InvalidAudio(NO_TRACK if len(container.streams) else UNREADABLE)
    track = container.streams.audio[0]
    # Absurd rates and channel counts turn a few bytes into gigabytes of samples.
    if (
        track.codec_context is None
        or track.codec_context.name not in _CODECS
        or not _bearable(track.codec_context.sample_rate, track.codec_context.channels)
    ):
        raise InvalidAudio(UNREADABLE)
    track.codec_context.thread_count = 1
    return track


def _packets(
    container: InputContainer, track: AudioStream, step: Callable[[], None]
) -> Iterator[Packet[Any]]:
    """What a container holds of a track, last an empty packet; damage to the container ends it."""
    packets = container.demux(track)
    while True:
        step()
        try:
            packet = next(packets, None)
        except av.FFmpegError as problem:
            _refuse_hunger(problem)
            return
        if packet is None:
            return
        yield packet


def _frames(container: InputContainer, track: AudioStream, step: Callable[[], None]) -> Iterator[AudioFrame]:
    """What can be decoded: damaged packets are passed over."""
    for packet in _packets(container, track, step):
        try:
            frames = packet.decode()
        except av.FFmpegError as problem:
            _refuse_hunger(problem)
            continue
        for frame in frames:
            if isinstance(frame, AudioFrame) and _bearable(frame.sample_rate, frame.layout.nb_channels):
                yield frame


def _refuse_hunger(problem: av.FFmpegError) -> None:
    """Raise a want of memory again: no damage to pass over, for what is left would be missing unsaid."""
    if isinstance(problem, MemoryError):
        raise problem


def _bearable(rate: int, channels: int) -> bool:
    return rate in _RATES and channels in _CHANNELS and rate * channels <= _HEAVIEST


def _resampled(frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.int16]]:
    """The sound of frames, each of which may have a shape of its own: resamplers are kept, as they cost most.

    What one holds back when the shape changes, a millisecond, comes with its next frame, or when it goes.
    """
    kept: dict[tuple[str, str, int], Graph] = {}  # The one least recently used first.
    for frame in frames:
        frame.pts = None  # Timestamps that jump would be refused; the samples count.
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        resampler = kept.pop(shape, None) or _resampler(*shape)
        if len(kept) == _SHAPES:
            yield from _through(kept.pop(next(iter(kept))), None)
        kept[shape] = resampler
        yield from _through(resampler, frame)
    for resampler in kept.values():
        yield from _through(resampler, None)


def _resampler(sample_format: str, layout: str, rate: int) -> Graph:
    graph = Graph()
    # Else it starts one for each core, and their stacks count as memory of the file.
    graph.threads = 1
    graph.link_nodes(
        graph.add("abuffer", sample_fmt=sample_format, channel_layout=layout, sample_rate=str(rate)),
        graph.add("aformat", sample_fmts="s16", channel_layouts="mono", sample_rates=str(RATE)),
        graph.add("abuffersink"),
    ).configure()
    return graph


def _through(resampler: Graph, frame: AudioFrame | None) -> Iterator[NDArray[np.int16]]:
    """What a resampler gives for a frame; for None, the rest."""
    resampler.push(frame)
    with suppress(BlockingIOError, EOFError):
        while True:
            yield resampler.pull().to_ndarray().reshape(-1).astype(np.int16, copy=False)
