"""Which container a recording is in, told by its first bytes alone: names and stated types are not believed.

Only the containers listed here are ever opened, each by its own demuxer, so that FFmpeg never gets to probe
playlists and other formats that lead to further files.
"""

from __future__ import annotations

from typing import BinaryIO

from antiphon.errors import InvalidAudio

UNREADABLE = (
    "Invalid file format. Supported formats: "
    "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
)
_HEAD = 4096
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


def demuxer(file: BinaryIO) -> str:
    """The name of FFmpeg's demuxer for a file, which is left at its start. Raises `InvalidAudio`."""
    file.seek(0)
    head = file.read(_HEAD)
    if head[:3] == b"ID3" and len(head) >= 10:
        file.seek(10 + _id3_size(head))
        after = file.read(4)
        name = "flac" if after == b"fLaC" else "mp3"
    else:
        name = _by_magic(head)
    file.seek(0)
    if not name:
        raise InvalidAudio(UNREADABLE)
    return name


def _by_magic(head: bytes) -> str:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] in _MP4_BOXES:
        return "mov"
    names = {b"fLaC": "flac", b"OggS": "ogg", b"\x1aE\xdf\xa3": "matroska", b"\0\0\1\xba": "mpeg"}
    if head[:4] in names:
        return names[head[:4]]
    # Encoders pad the start of an MP3 with zeros.
    return "mp3" if _is_mpeg_audio(head.lstrip(b"\0")[:4]) else ""


def _is_mpeg_audio(header: bytes) -> bool:
    """Whether four bytes are the header of an MPEG audio frame, layers I to III; AAC has layer 0."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    return version != 1 and layer != 0 and bitrate != 15 and rate != 3


def _id3_size(head: bytes) -> int:
    """The length of an ID3v2 tag behind its ten-byte header: four bytes of seven bits."""
    return (head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | head[9] & 127
