"""Small files that unpack to hours of sound, archives, and files just as large as they may be.

Nothing here is encoded for hours: a frame of silence is repeated. A file that states its length is refused at
once; one that does not, or that lies, is refused when the longest accepted length has been decoded.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache

import av

from bad_input.cases import MULTIPART, SPEECH_SECONDS, TRANSCRIPTIONS, Case, form
from bad_input.lies import flac_samples, ogg_page
from sounds import encode, silence

UPLOAD = 25 * 1024 * 1024
_HOUR = 3600
_FRAME = 65_535
"""Samples in a FLAC frame: the most that there can be."""
_NEVER = -1


def _flac(hours: float, channels: int = 1, rate: int = 16_000) -> bytes:
    """Silence in frames of one constant each: about 4 s of sound in 14 bytes."""
    info = struct.pack(">HH", _FRAME, _FRAME) + bytes(6)
    shape = rate << 44 | (channels - 1) << 41 | 15 << 36
    header = b"fLaC\x80\x00\x00\x22" + info + struct.pack(">Q", shape) + bytes(16)
    count = int(hours * _HOUR * rate / _FRAME) + 1
    return header + b"".join(_flac_frame(number, channels) for number in range(count))


def _flac_frame(number: int, channels: int) -> bytes:
    head = b"\xff\xf8\x70" + bytes([(channels - 1) << 4]) + _coded(number) + struct.pack(">H", _FRAME - 1)
    frame = head + bytes([_crc(head, 0x107, 8)]) + b"\x00\x00\x00" * channels
    return frame + struct.pack(">H", _crc(frame, 0x18005, 16))


def _coded(number: int) -> bytes:
    """A frame's number, as UTF-8 codes a character, surrogates included."""
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    found = 0
    for byte in data:
        found ^= byte << bits - 8
        for _ in range(8):
            found = found << 1 ^ (polynomial if found >> bits - 1 & 1 else 0)
    return found


def _filled(whole: bytes, header: int) -> bytes:
    """As much as an upload may hold: everything behind the header, again and again."""
    return whole + whole[header:] * ((UPLOAD - len(whole)) // (len(whole) - header))


def _ogg(headers: bytes, packet: bytes, pages: int, granule: Callable[[int], int]) -> bytes:
    """Pages of 255 packets each, behind the header pages; page n states that it ends at `granule(n)`."""
    serial = headers[14:18]
    assert len(packet) < 255
    made = [headers]
    for number in range(pages):
        head = b"OggS\x00\x00" + struct.pack("<q", granule(number)) + serial
        head += struct.pack("<II", number + headers.count(b"OggS"), 0) + b"\xff" + bytes([len(packet)]) * 255
        made.append(ogg_page(head, packet * 255))
    return b"".join(made)


@cache
def _opus_headers() -> bytes:
    return _before_page(encode(silence(0.1), "ogg"), 2)


def _opus(pages: int, granule: Callable[[int], int]) -> bytes:
    """Two bytes make 120 ms: six frames of nothing. A page is 30.6 s."""
    return _ogg(_opus_headers(), b"\xfb\x06", pages, granule)


@cache
def _vorbis_source() -> tuple[bytes, bytes]:
    """The header pages of a Vorbis file, and the packet that is its silence."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("vorbis", rate=16_000, layout="stereo", options={"strict": "-2"})
        frame = av.AudioFrame("fltp", "stereo", 64)
        frame.sample_rate, frame.pts = 16_000, 0
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        packets = []
        for n in range(100):
            frame.pts = n * 64
            packets += stream.encode(frame)
        packets += stream.encode(None)
        silent = bytes(packets[-2])
        container.mux(packets)
    return _before_page(file.getvalue(), _first_sound(file.getvalue())), silent


def _first_sound(ogg: bytes) -> int:
    """The number of the first page that states a position: those before are headers."""
    pages = ogg.split(b"OggS")[1:]
    return next(n for n, page in enumerate(pages) if struct.unpack_from("<q", page, 2)[0] != 0)


def _before_page(ogg: bytes, number: int) -> bytes:
    return b"OggS".join(ogg.split(b"OggS")[: number + 1])


def _vorbis(pages: int, granule: Callable[[int], int]) -> bytes:
    return _ogg(*_vorbis_source(), pages, granule)


def _mp3(bytes_: int) -> bytes:
    """72 ms of silence in 72 bytes: MPEG 2.5, 8 kHz, 8 kbit/s, nothing but a header."""
    return (b"\xff\xe3\x18\xc4" + bytes(68)) * (bytes_ // 72)


def _packets(
    container: str, codec: str, rate: int, seconds: float, samples: int, options: dict[str, str]
) -> bytes:
    """One encoded packet of silence, written again and again into a container."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "fltp"
    encoder.open()
    file = io.BytesIO()
    with av.open(file, "w", format=container, container_options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame("fltp", "mono", samples)
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.sample_rate = rate
        made = [bytes(p) for n in range(8) for p in _encoded(stream, frame, n * samples)]
        for n in range(int(seconds * rate / samples)):
            packet = av.Packet(made[-1])
            packet.stream, packet.time_base = stream, Fraction(1, rate)
            packet.pts = packet.dts = n * samples
            packet.duration = samples
            output.mux(packet)
    return file.getvalue()


def _encoded(stream: av.AudioStream, frame: av.AudioFrame, pts: int) -> list[av.Packet]:
    frame.pts = pts
    return list(stream.encode(frame))


def _wav(rate: int, bits: int, size: int, stated: int | None = None) -> bytes:
    """Silence in a WAV file of `size` bytes, whose sound is `stated` to be so long."""
    body = bytes([128 if bits == 8 else 0]) * (size - 44)
    shape = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * bits // 8, bits // 8, bits)
    lengths = [len(body) + 36, len(body)] if stated is None else [stated, stated]
    whole, sound = (struct.pack("<I", length) for length in lengths)
    return b"RIFF" + whole + b"WAVEfmt " + shape + b"data" + sound + body


def _zip(content: bytes, name: str = "speech.wav") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _nested_zip(depth: int) -> bytes:
    content = bytes(1024 * 1024)
    for level in range(depth):
        content = _zip(content, f"{level}.zip")
    return content


def _fragmented(seconds: float) -> bytes:
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe", "frag_duration": "60000000"}
    return _packets("mp4", "aac", 16_000, seconds, 1024, options)


BOMBS: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "flac-stated": (lambda: flac_samples(16_000 * _HOUR * 100)(_flac(0.1)), (413,)),
    "flac-unstated": (lambda: _flac(1.1), (413,)),
    "flac-lying": (lambda: flac_samples(16_000)(_flac(1.1)), (413,)),
    "flac-of-25-mib": (lambda: _filled(_flac(1.1), 42), (413,)),
    "flac-of-8-channels": (lambda: _flac(1.1, channels=8), (413,)),
    "flac-of-25-mib-and-8-channels": (lambda: _filled(_flac(1.1, channels=8), 42), (413,)),
    "flac-of-8-channels-at-384-khz": (lambda: _flac(1.1, channels=8, rate=384_000), (400,)),
    "flac-below-the-limit": (lambda: _flac(0.1), (200,)),
    "opus-stated": (lambda: _opus(130, lambda n: (n + 1) * 255 * 5760), (413,)),
    "opus-unstated": (lambda: _opus(130, lambda n: _NEVER), (400, 413)),
    "opus-of-25-mib": (lambda: _filled(_opus(130, lambda n: 48_000), len(_opus_headers())), (413,)),
    "vorbis-stated": (lambda: _vorbis(900, lambda n: (n + 1) * 255 * 1024), (413,)),
    "vorbis-lying": (lambda: _vorbis(3600, lambda n: 16_000), (413,)),
    "aac-stated": (lambda: _packets("mp4", "aac", 16_000, 3700, 1024, {}), (413,)),
    "aac-fragmented": (lambda: _fragmented(3700), (413,)),
    "aac-slow-rate": (lambda: _packets("mp4", "aac", 8_000, 7200, 1024, {}), (413,)),
    "opus-in-webm": (lambda: _packets("webm", "libopus", 48_000, 3700, 960, {}), (413,)),
    "mp3-of-25-mib": (lambda: _mp3(UPLOAD), (413,)),
    "wav-of-25-mib": (lambda: _wav(4000, 8, UPLOAD), (413,)),
    "wav-unstated": (lambda: _wav(4000, 8, UPLOAD, 0xFFFFFFFF), (413,)),
    "zip": (lambda: _zip(encode(silence(1))), (400,)),
    "zip-of-128-mib": (lambda: _zip(bytes(128 * 1024 * 1024)), (400,)),
    "zip-nested": (lambda: _nested_zip(8), (400,)),
    "gzip": (lambda: gzip.compress(bytes(64 * 1024 * 1024), 1, mtime=0), (400,)),
    "tar": (lambda: b"speech.wav".ljust(257, b"\0") + b"ustar\0" + bytes(1000), (400,)),
    "svg": (
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        (400,),
    ),
    "pdf": (lambda: b"%PDF-1.7\n" + bytes(1000), (400,)),
    "elf": (lambda: b"\x7fELF" + bytes(1000), (400,)),
    "sqlite": (lambda: b"SQLite format 3\0" + bytes(1000), (400,)),
}


def cases() -> Iterator[Case]:
    for name, (make, statuses) in BOMBS.items():
        yield Case(
            id=f"bomb-{name}",
            path=TRANSCRIPTIONS,
            body=lambda make=make: form([("model", "whisper-1"), ("language", "en")], make()),
            content_type=MULTIPART,
            statuses=statuses,
            seconds=SPEECH_SECONDS,
        )
    yield from _sizes()


def _sizes() -> Iterator[Case]:
    for name, size, statuses in (
        ("limit-minus-1", UPLOAD - 1, (200,)),
        ("limit", UPLOAD, (200,)),
        ("limit-plus-1", UPLOAD + 1, (413,)),
        ("limit-plus-10-mib", UPLOAD + 10 * 1024 * 1024, (413,)),
    ):
        for chunked in (False, True):
            yield Case(
                id=f"size-{name}-{'chunked' if chunked else 'stated'}",
                path=TRANSCRIPTIONS,
                # At such a rate, two minutes of silence: the limit is one of bytes.
                body=lambda size=size: form(file=_wav(96_000, 16, size)),
                content_type=MULTIPART,
                chunked=chunked,
                statuses=statuses,
                text="" if statuses == (200,) else None,
                seconds=SPEECH_SECONDS,
            )
