"""Playlists, presentations and films that lead to other files: by address, or on the server's own disk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from sounds import encode, silence

SPEECH_FILE = Path(__file__).parents[1] / "data" / "en_pyroomacoustics_cmu_arctic_us_axb_a0005.wav"
"""A recording that would be transcribed if a reference to it were followed."""

_REFERRING = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "hls-key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n',
    "hls-map": '#EXTM3U\n#EXT-X-MAP:URI="{url}"\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n',
    "hls-master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "m3u": "#EXTM3U\n#EXTINF:1,x\n{url}\n",
    "pls": "[playlist]\nFile1={url}\nLength1=1\nNumberOfEntries=1\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "smil": '<smil><body><audio src="{url}"/></body></smil>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\na=control:{url}\n",
    "asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "url-alone": "{url}",
    "url-file": "[InternetShortcut]\nURL={url}\n",
}
DISGUISES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "behind-a-tag": lambda text: b"ID3\x04\x00\x00" + bytes(4) + text,
    "behind-a-wav": lambda text: encode(silence(0.2)) + text,
}


def references(url: str) -> Iterator[tuple[str, bytes]]:
    """Files that refer to `url`, each with a name; nothing behind it may ever be opened.

    Some hold half a second of silence besides, which may be transcribed: to nothing.
    """
    for name, text in _REFERRING.items():
        for disguise, put_on in DISGUISES.items():
            yield f"{name}-{disguise}", put_on(text.format(url=url).encode())
    yield "mov-reference", _mov_reference(url)


def _mov_reference(url: str) -> bytes:
    """A film whose sound is said to lie at `url` (`dref`, not self-contained)."""
    whole = encode(silence(0.5), "mov")
    at = whole.index(b"dref")
    entry = b"url " + bytes(4) + url.encode() + b"\0"
    box = b"dref" + struct.pack(">III", 0, 1, len(entry) + 4) + entry
    old = struct.unpack(">I", whole[at - 4 : at])[0]
    grown = len(box) + 4 - old
    changed = whole[: at - 4] + struct.pack(">I", len(box) + 4) + box + whole[at - 4 + old :]
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = changed.index(parent) - 4
        size = struct.unpack(">I", changed[place : place + 4])[0]
        changed = changed[:place] + struct.pack(">I", size + grown) + changed[place + 4 :]
    return changed
