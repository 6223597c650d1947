"""Multipart forms that are broken, cut, oversized, or lie; and odd ones that are well-formed all the same."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache

from bad_input.cases import BOUNDARY, MULTIPART, TRANSCRIPTIONS, TRANSLATIONS, Case, end, form, part
from sounds import encode, silence

_MODEL = part('form-data; name="model"', b"whisper-1")
_LONG = 1024 * 1024


@cache
def _sound() -> bytes:
    return encode(silence(0.5))


def _file(disposition: str = 'form-data; name="file"; filename="a.wav"', *headers: str) -> bytes:
    return part(disposition, _sound(), *headers)


def _whole() -> bytes:
    return form(file=_sound())


def _delimited(delimiter: bytes) -> bytes:
    return _whole().replace(BOUNDARY.encode(), delimiter)


BROKEN = {
    "empty": lambda: b"",
    "only-end": end,
    "only-boundary": lambda: f"--{BOUNDARY}\r\n".encode(),
    "random": lambda: bytes(range(256)) * 64,
    "json": lambda: b'{"model":"whisper-1"}',
    "raw-recording": _sound,
    "other-boundary": lambda: _delimited(b"another-boundary"),
    "boundary-one-dash": lambda: _whole().replace(b"--" + BOUNDARY.encode(), b"-" + BOUNDARY.encode()),
    "no-end": lambda: _whole().removesuffix(end()),
    "end-without-dashes": lambda: _whole().removesuffix(b"--\r\n") + b"\r\n",
    "cut-1": lambda: _whole()[: len(_whole()) // 100],
    "cut-25": lambda: _whole()[: len(_whole()) // 4],
    "cut-50": lambda: _whole()[: len(_whole()) // 2],
    "cut-99": lambda: _whole()[: len(_whole()) * 99 // 100],
    "line-feeds-only": lambda: _whole().replace(b"\r\n", b"\n"),
    "no-blank-line": lambda: _whole().replace(b"\r\n\r\n", b"\r\n"),
    "header-without-colon": lambda: _MODEL + _file('form-data; name="file"', "Content-Type audio") + end(),
    "header-name-empty": lambda: _MODEL + _file('form-data; name="file"', ": x") + end(),
    "header-name-odd": lambda: _MODEL + _file('form-data; name="file"', "a\x01b: x") + end(),
    "header-of-1-mb": lambda: _MODEL + _file('form-data; name="file"', "x-long: " + "x" * _LONG) + end(),
    "header-name-of-1-mb": lambda: _MODEL + _file('form-data; name="file"', "x" * _LONG + ": x") + end(),
    "headers-10000": lambda: _MODEL + _file('form-data; name="file"', *["x-many: x"] * 10_000) + end(),
    "name-of-1-mb": lambda: part(f'form-data; name="{"n" * _LONG}"', b"x") + end(),
    "filename-of-1-mb": lambda: _MODEL + _file(f'form-data; name="file"; filename="{"n" * _LONG}"') + end(),
    "no-disposition": lambda: _whole().replace(b"Content-Disposition", b"Content-Other"),
    "attachment": lambda: _MODEL + _file('attachment; name="file"') + end(),
    "disposition-empty": lambda: _MODEL + _file("") + end(),
    "no-name": lambda: _MODEL + _file('form-data; filename="a.wav"') + end(),
    "name-empty": lambda: _MODEL + _file('form-data; name=""; filename="a.wav"') + end(),
    "name-not-utf8": lambda: _MODEL + part('form-data; name="\udcff\udcfe"', b"x") + _file() + end(),
    "field-not-utf8": lambda: form([("model", b"whisper-\xff")], _sound()),
    "field-nul": lambda: form([("model", "whisper-1\0")], _sound()),
    "field-64-kib": lambda: form([("model", "whisper-1"), ("prompt", "x" * 65_537)], _sound()),
    "fields-64-kib": lambda: form([("model", "whisper-1"), *[("keywords[]", "x" * 8000)] * 10], _sound()),
    "parts-21": lambda: form([("model", "whisper-1"), *[("keywords[]", "x")] * 20], _sound()),
    "parts-10000": lambda: form([("keywords[]", "x")] * 10_000, _sound()),
    "parts-empty-10000": lambda: f"--{BOUNDARY}\r\n\r\n\r\n".encode() * 10_000 + end(),
    "two-files": lambda: _MODEL + _file() + _file() + end(),
    "two-models": lambda: _MODEL + _MODEL + _file() + end(),
    "no-model": lambda: form([], _sound()),
    "model-empty": lambda: form([("model", "")], _sound()),
    "no-file": lambda: form(),
    "file-empty": lambda: form(file=b""),
    "file-one-byte": lambda: form(file=b"R"),
    "file-text": lambda: form(file=b"this is not a recording\n" * 100),
    "file-zeros": lambda: form(file=bytes(100_000)),
    "file-as-array": lambda: _MODEL + _file('form-data; name="file[]"; filename="a.wav"') + end(),
    "file-other-case": lambda: _MODEL + _file('form-data; name="File"; filename="a.wav"') + end(),
    "file-nested-form": lambda: form(file=_whole()),
    "file-gzip": lambda: form(file=gzip.compress(_sound(), mtime=0)),
    "file-base64": lambda: (
        _MODEL + part('form-data; name="file"', b"UklGRg==", "Content-Transfer-Encoding: base64") + end()
    ),
}
"""Each is a 400."""

FINE = {
    "file-first": lambda: _file() + _MODEL + end(),
    "file-without-filename": lambda: _MODEL + _file('form-data; name="file"') + end(),
    "file-with-type-of-text": lambda: (
        _MODEL + _file('form-data; name="file"; filename="a.txt"', "Content-Type: text/plain") + end()
    ),
    "parts-20": lambda: form(
        [("model", "whisper-1"), ("response_format", "json"), ("prompt", "x"), ("user", "x")], _sound()
    ),
    "preamble-line": lambda: b"\r\n" + _whole(),
    "epilogue": lambda: _whole() + b"This is the epilogue.\r\n",
    "names-unquoted": lambda: part("form-data; name=model", b"whisper-1") + _file() + end(),
    "header-case": lambda: _whole().replace(b"Content-Disposition", b"CONTENT-disposition"),
}
"""Each is a 200, or a 400 where the form is only nearly well-formed."""

FILENAMES = {
    "parent-folders": "../../../../tmp/escaped.wav",
    "absolute": "/tmp/escaped.wav",
    "backslashes": "..\\..\\escaped.wav",
    "shell": "$(touch /tmp/escaped);`id`|x.wav",
    "dashes": "--help",
    "dots": "..",
    "empty": "",
    "nul": "a\0.wav",
    "line-break": "a\r\nX-Injected: 1",
    "not-utf8": "\udcff\udcfe.wav",
    "long": "n" * 1000 + ".wav",
    "address": "http://127.0.0.1:1/a.wav",
}
"""Names that clients give to a recording: none of them is ever used."""

REFUSED_TYPES = {
    "no-type": (None, 415),
    "type-empty": ("", 415),
    "type-json": ("application/json", 415),
    "type-urlencoded": ("application/x-www-form-urlencoded", 415),
    "type-mixed": (f"multipart/mixed; boundary={BOUNDARY}", 415),
    "type-audio": ("audio/wav", 415),
    "type-text": ("text/plain", 415),
    "boundary-missing": ("multipart/form-data", 400),
    "boundary-empty": ("multipart/form-data; boundary=", 400),
    "boundary-quoted-empty": ('multipart/form-data; boundary=""', 400),
    "boundary-of-300": (f"multipart/form-data; boundary={'x' * 300}", 400),
    "boundary-latin1": ("multipart/form-data; boundary=gränze", 400),
    "boundary-other-name": (f"multipart/form-data; bound={BOUNDARY}", 400),
}


def cases() -> Iterator[Case]:
    for route, path in (("transcription", TRANSCRIPTIONS), ("translation", TRANSLATIONS)):
        for name, body in BROKEN.items():
            yield _case(f"{route}-{name}", path, body, (400,))
        for name, body in FINE.items():
            yield _case(f"{route}-{name}", path, body, (200, 400))
        for name, filename in FILENAMES.items():
            yield _case(
                f"{route}-filename-{name}",
                path,
                lambda filename=filename: form(file=_sound(), filename=filename),
                (200, 400),
            )
        for name, (kind, status) in REFUSED_TYPES.items():
            yield Case(
                id=f"multipart-{route}-{name}",
                path=path,
                body=_whole,
                content_type=kind,
                statuses=(status,),
            )
        yield Case(
            id=f"multipart-{route}-gzip",
            path=path,
            body=lambda: gzip.compress(_whole(), mtime=0),
            content_type=MULTIPART,
            headers={"content-encoding": "gzip"},
            statuses=(415,),
        )


def _case(name: str, path: str, body: object, statuses: tuple[int, ...]) -> Case:
    assert callable(body)
    return Case(id=f"multipart-{name}", path=path, body=body, content_type=MULTIPART, statuses=statuses)
