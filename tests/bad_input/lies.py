"""Files that lie about their lengths: a sound whose headers say that there is far more of it, or less."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Mapping

Lie = Callable[[bytes], bytes]

_REFLECTED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_checksum(page: bytes) -> int:
    """The checksum of an Ogg page whose own checksum is zero: zlib's, its bits reversed and from 0 on."""
    found = zlib.crc32(page.translate(_REFLECTED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


def ogg_page(header: bytes, body: bytes) -> bytes:
    """A page with its checksum; `header` ends with the segment table."""
    blank = header[:22] + bytes(4) + header[26:]
    return header[:22] + struct.pack("<I", ogg_checksum(blank + body)) + header[26:] + body


def flac_samples(count: int) -> Lie:
    """A FLAC file that states `count` samples; 0 means that it does not say."""

    def tell(flac: bytes) -> bytes:
        assert flac[:4] == b"fLaC" and flac[4] & 127 == 0
        return (
            flac[:21]
            + bytes([flac[21] & 0xF0 | count >> 32])
            + struct.pack(">I", count & 0xFFFFFFFF)
            + flac[26:]
        )

    return tell


def _riff(data: int, form: int | None = None) -> Lie:
    def tell(wav: bytes) -> bytes:
        at = wav.index(b"data") + 4
        whole = wav[4:8] if form is None else struct.pack("<I", form)
        return wav[:4] + whole + wav[8:at] + struct.pack("<I", data) + wav[at + 4 :]

    return tell


def _wav_format(offset: int, layout: str, value: int) -> Lie:
    """Another value in the `fmt ` chunk, `offset` bytes behind its length."""

    def tell(wav: bytes) -> bytes:
        at = wav.index(b"fmt ") + 8 + offset
        return wav[:at] + struct.pack(layout, value) + wav[at + struct.calcsize(layout) :]

    return tell


def _mp4_durations(units: int) -> Lie:
    """Every stated duration (`mvhd`, `tkhd`, `mdhd`, version 0) becomes `units`."""

    def tell(mp4: bytes) -> bytes:
        for box, offset in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)):
            at = mp4.index(box) + 4 + offset
            mp4 = mp4[:at] + struct.pack(">I", units) + mp4[at + 4 :]
        return mp4

    return tell


def _mp4_box(box: bytes, size: int) -> Lie:
    def tell(mp4: bytes) -> bytes:
        at = mp4.index(box) - 4
        return mp4[:at] + struct.pack(">I", size) + mp4[at + 4 :]

    return tell


def _mp4_count(box: bytes, offset: int, count: int) -> Lie:
    """A sample table (`stts`, `stsz`, `stco`) that claims `count` entries."""

    def tell(mp4: bytes) -> bytes:
        at = mp4.index(box) + 4 + offset
        return mp4[:at] + struct.pack(">I", count) + mp4[at + 4 :]

    return tell


def _matroska_duration(value: float) -> Lie:
    def tell(file: bytes) -> bytes:
        at = file.index(b"\x44\x89\x88") + 3
        return file[:at] + struct.pack(">d", value) + file[at + 8 :]

    return tell


def _matroska_size(element: bytes) -> Lie:
    """The first such element claims to be far longer than the file."""

    def tell(file: bytes) -> bytes:
        at = file.index(element) + len(element)
        return file[:at] + b"\x01\x00\x7f\xff\xff\xff\xff\xff" + file[at + 8 :]

    return tell


def _ogg_granule(position: int) -> Lie:
    """The last page states that the sound ends at `position`, with a right checksum."""

    def tell(ogg: bytes) -> bytes:
        at = ogg.rindex(b"OggS")
        last = ogg[at:]
        table = 27 + last[26]
        header = last[:6] + struct.pack("<q", position) + last[14:table]
        return ogg[:at] + ogg_page(header, last[table:])

    return tell


def _ogg_segments(ogg: bytes) -> bytes:
    """The last page claims 255 full segments."""
    at = ogg.rindex(b"OggS")
    return ogg[: at + 26] + b"\xff" * 256 + ogg[at + 27 :]


def _id3(size: bytes) -> Lie:
    """A tag in front that claims to be `size` long, four bytes of seven bits."""
    return lambda mpeg: b"ID3\x04\x00\x00" + size + mpeg


def _xing(mp3: bytes) -> bytes:
    """The index frame in front claims four thousand million frames."""
    found = re.search(rb"Xing|Info", mp3)
    assert found is not None
    return mp3[: found.end() + 4] + b"\xff\xff\xff\xff" * 2 + mp3[found.end() + 12 :]


def _packets(mpeg: bytes) -> bytes:
    """Every packet of the program stream claims to be as long as can be."""
    return re.sub(rb"(\x00\x00\x01\xc0)..", lambda found: found[1] + b"\xff\xff", mpeg, flags=re.DOTALL)


_MP4: Mapping[str, Lie] = {
    "says-longer": _mp4_durations(0xFFFFFFFE),
    "says-nothing": _mp4_durations(0),
    "box-beyond-the-end": _mp4_box(b"mdat", 0x7FFFFFFF),
    "box-of-1-byte": _mp4_box(b"moov", 1),
    "billions-of-sizes": _mp4_count(b"stsz", 8, 0xFFFFFFFF),
    "billions-of-times": _mp4_count(b"stts", 4, 0x0FFFFFFF),
    "billions-of-samples-in-one-entry": _mp4_count(b"stts", 8, 0xFFFFFFFF),
    "billions-of-chunks": _mp4_count(b"stco", 4, 0x3FFFFFFF),
}
_MPEG: Mapping[str, Lie] = {
    "tag-beyond-the-end": _id3(b"\x7f\x7f\x7f\x7f"),
    "tag-of-0-bytes": _id3(bytes(4)),
}
_OGG: Mapping[str, Lie] = {
    "says-longer": _ogg_granule(2**62),
    "says-negative": _ogg_granule(-1),
    "says-nothing": _ogg_granule(0),
    "segments-beyond-the-end": _ogg_segments,
}

LIES: Mapping[str, Mapping[str, Lie]] = {
    "wav": {
        "says-longer": _riff(0x7FFFFFFF, 0x7FFFFFFF),
        "says-unknown": _riff(0xFFFFFFFF, 0xFFFFFFFF),
        "says-nothing": _riff(0, 0),
        "says-odd": _riff(3),
        "65535-channels": _wav_format(2, "<H", 65_535),
        "0-channels": _wav_format(2, "<H", 0),
        "rate-of-4-ghz": _wav_format(4, "<I", 0xFFFFFFFF),
        "rate-of-0": _wav_format(4, "<I", 0),
        "rate-of-1-hz": _wav_format(4, "<I", 1),
        "format-unknown": _wav_format(0, "<H", 0x7777),
        "bits-0": _wav_format(14, "<H", 0),
        "bits-65535": _wav_format(14, "<H", 65_535),
    },
    "mp3": {**_MPEG, "billions-of-frames": _xing},
    "mpga": _MPEG,
    "mpeg": {"packets-beyond-the-end": _packets},
    "mp4": _MP4,
    "m4a": _MP4,
    "webm": {
        "says-longer": _matroska_duration(1e18),
        "says-not-a-number": _matroska_duration(float("nan")),
        "says-negative": _matroska_duration(-1.0),
        "segment-beyond-the-end": _matroska_size(b"\x18\x53\x80\x67"),
    },
    "flac": {
        "says-longer": flac_samples(2**36 - 1),
        "says-nothing": flac_samples(0),
        "says-1": flac_samples(1),
    },
    "ogg": _OGG,
    "oga": _OGG,
}
