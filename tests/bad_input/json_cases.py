"""JSON that is broken, forbidden, left open by the standard, hostile in its size, or not JSON at all."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator

from bad_input.cases import CHAT, COMPLETIONS, EMBEDDINGS, ENGINE, JSON, RENDER, Case

LIMIT = 4 * 1024 * 1024
_MESSAGES = b'"messages":[{"role":"user","content":"x"}]'
_VALID = b'{"model":"gpt-3.5-turbo",' + _MESSAGES + b"}"
_PATHS = {
    "chat": CHAT,
    "engine": ENGINE,
    "render": RENDER,
    "completion": COMPLETIONS,
    "embedding": EMBEDDINGS,
}


def _said(content: bytes) -> bytes:
    """A request in which the user said `content`, a JSON string without its quotes."""
    return b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"' + content + b'"}]}'


def _with(name: bytes, value: bytes) -> bytes:
    return _VALID[:-1] + b"," + name + b":" + value + b"}"


BROKEN = {
    "empty": b"",
    "spaces": b" \r\n\t ",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "string": b'"hello"',
    "array": b"[]",
    "array-of-request": b"[" + _VALID + b"]",
    "empty-object": b"{}",
    "two-objects": _VALID + _VALID,
    "trailing-garbage": _VALID + b"x",
    "trailing-nul": _VALID + b"\0",
    "trailing-comma": _VALID[:-1] + b",}",
    "missing-comma": _VALID[:-1] + b'"n":1}',
    "missing-colon": _with(b'"n" ', b"1").replace(b'n" :', b'n" '),
    "single-quotes": _VALID.replace(b'"', b"'"),
    "unquoted-key": _with(b"n", b"1"),
    "number-key": _with(b"1", b"1"),
    "comment": _VALID[:-1] + b"/* n */}",
    "line-comment": _VALID + b"// n",
    "python-none": _with(b'"n"', b"None"),
    "upper-case-true": _with(b'"stream"', b"TRUE"),
    "undefined": _with(b'"n"', b"undefined"),
    "nan": _with(b'"temperature"', b"NaN"),
    "infinity": _with(b'"temperature"', b"Infinity"),
    "minus-infinity": _with(b'"temperature"', b"-Infinity"),
    "1e999": _with(b'"temperature"', b"1e999"),
    "minus-1e999": _with(b'"temperature"', b"-1e999"),
    "leading-zero": _with(b'"n"', b"01"),
    "plus-sign": _with(b'"n"', b"+1"),
    "hexadecimal": _with(b'"n"', b"0x1"),
    "no-fraction": _with(b'"temperature"', b"1."),
    "no-integer": _with(b'"temperature"', b".5"),
    "minus-alone": _with(b'"temperature"', b"-"),
    "integer-of-5000-digits": _with(b'"seed"', b"9" * 5000),
    "integer-of-million-digits": _with(b'"seed"', b"9" * 1_000_000),
    "float-of-5000-digits": _with(b'"temperature"', b"1" * 5000 + b".5"),
    "duplicate-key": _with(b'"model"', b'"gpt-3.5-turbo"'),
    "duplicate-escaped-key": _with(b'"mod\\u0065l"', b'"gpt-3.5-turbo"'),
    "duplicate-messages": _with(b'"messages"', b"[]"),
    "duplicate-nested-key": _VALID.replace(b'"role":"user"', b'"role":"user","role":"system"'),
    "high-surrogate": _said(b"\\ud83d"),
    "low-surrogate": _said(b"\\ude00"),
    "surrogates-swapped": _said(b"\\ude00\\ud83d"),
    "surrogate-upper-case": _said(b"\\uD83Dx"),
    "surrogate-in-key": _with(b'"\\ud800"', b"1"),
    "surrogate-in-metadata": _with(b'"metadata"', b'{"\\ud800":"x"}'),
    "escaped-nul": _said(b"a\\u0000b"),
    "escaped-nul-in-key": _with(b'"n\\u0000"', b"1"),
    "raw-nul": _said(b"a\0b"),
    "raw-newline": _said(b"a\nb"),
    "raw-escape": _said(b"a\x1bb"),
    "bad-escape": _said(b"\\x41"),
    "short-escape": _said(b"\\u12"),
    "open-string": _said(b"x")[:-4],
    "invalid-utf8": _said(b"\xff\xfe"),
    "overlong-utf8": _said(b"\xc0\xaf"),
    "truncated-utf8": _said(b"\xe2\x82"),
    "surrogate-as-utf8": _said(b"\xed\xa0\x80"),
    "beyond-unicode": _said(b"\xf4\x90\x80\x80"),
    "latin1": _said("café".encode("latin-1")),
    "utf16": _VALID.decode().encode("utf-16"),
    "utf32": _VALID.decode().encode("utf-32"),
    "byte-order-mark": b"\xef\xbb\xbf" + _VALID,
    "cut-1": _VALID[:1],
    "cut-half": _VALID[: len(_VALID) // 2],
    "cut-last": _VALID[:-1],
    "binary": bytes(range(256)),
    "xml": b"<?xml version='1.0'?><model>gpt-3.5-turbo</model>",
    "form": b"model=gpt-3.5-turbo&messages=x",
    "lines-of-json": b"\n".join([_VALID, _VALID]),
    "depth-100": b"[" * 100 + b"]" * 100,
    "depth-1000": b"[" * 1000 + b"]" * 1000,
    "depth-10000": b"[" * 10_000 + b"]" * 10_000,
    "depth-100000": b"[" * 100_000 + b"]" * 100_000,
    "depth-100000-open": b"[" * 100_000,
    "depth-1000-objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "depth-100000-objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "depth-100-messages": b'{"model":"gpt-3.5-turbo","messages":' + b"[" * 100 + b"]" * 100 + b"}",
    "depth-10000-messages": b'{"model":"gpt-3.5-turbo","messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "depth-10000-annotations": _VALID.replace(
        b'"content"', b'"annotations":' + b"[" * 10_000 + b"]" * 10_000 + b',"content"'
    ),
    "many-keys": b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
    "long-key": _with(b'"' + b"k" * 1_000_000 + b'"', b"1"),
    "many-messages": b'{"model":"gpt-3.5-turbo","messages":['
    + b",".join([b'{"role":"user","content":"x"}'] * 2049)
    + b"]}",
    "many-parts": b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":['
    + b",".join([b'{"type":"text","text":"x"}'] * 257)
    + b"]}]}",
}
"""Each is a 400 on every route that takes JSON."""

HUGE = {
    "empty-arrays": (b'{"model":"gpt-3.5-turbo","messages":[', b"[],", b"[]]}"),
    "empty-objects": (b'{"model":"gpt-3.5-turbo","messages":[', b"{},", b"{}]}"),
    "small-objects": (b'{"model":"gpt-3.5-turbo","messages":[', b'{"a":1},', b"{}]}"),
    "numbers": (b'{"model":"gpt-3.5-turbo","messages":[', b"1.5,", b"1]}"),
    "annotations": (
        b'{"model":"gpt-3.5-turbo","messages":[{"role":"tool","annotations":[',
        b"[],",
        b'[]],"content":"x"}]}',
    ),
    "words": (b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"', b"word ", b'"}]}'),
    "escapes": (b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"', b"\\u00e9", b'"}]}'),
}
"""Beginning, what is repeated, and end of bodies just under the limit, which unpack to much more."""

REFUSED_TYPES = (
    None,
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/jsonl",
    "application/octet-stream",
    "application/json-patch+json",
    "*/*",
)

ENCODINGS = {
    "gzip": gzip.compress(_VALID, mtime=0),
    "x-gzip": gzip.compress(_VALID, mtime=0),
    "deflate": zlib.compress(_VALID),
    "br": _VALID,
    "zstd": _VALID,
    "gzip, identity": gzip.compress(_VALID, mtime=0),
}


def cases() -> Iterator[Case]:
    for route, path in _PATHS.items():
        for name, body in BROKEN.items():
            yield Case(id=f"json-{route}-{name}", path=path, body=lambda body=body: body, statuses=(400,))
        for kind in REFUSED_TYPES:
            yield Case(
                id=f"json-{route}-as-{kind}",
                path=path,
                body=lambda: _VALID,
                content_type=kind,
                statuses=(415,),
            )
    for name, (begin, repeated, finish) in HUGE.items():
        times = (LIMIT - len(begin) - len(finish)) // len(repeated)
        yield Case(
            id=f"json-huge-{name}",
            path=RENDER if name in ("words", "escapes") else CHAT,
            body=lambda b=begin, r=repeated, t=times, f=finish: b + r * t + f,
            statuses=(200, 400) if name in ("words", "escapes") else (400,),
            seconds=30.0,
        )
    yield Case(id="json-chat-past-context", path=CHAT, body=lambda: _said(b"word " * 20_000), statuses=(400,))
    yield from _encoded()
    yield from _sizes()


def _encoded() -> Iterator[Case]:
    for encoding, body in ENCODINGS.items():
        yield Case(
            id=f"json-encoded-{encoding}",
            path=CHAT,
            body=lambda body=body: body,
            headers={"content-encoding": encoding},
            statuses=(415,),
        )
    yield Case(
        id="json-gzip-bomb",
        path=CHAT,
        body=lambda: gzip.compress(b" " * 128 * 1024 * 1024, 1, mtime=0),
        headers={"content-encoding": "gzip"},
        statuses=(415,),
    )
    yield Case(
        id="json-gzip-undeclared",
        path=CHAT,
        body=lambda: gzip.compress(_VALID, mtime=0),
        statuses=(400,),
    )


def _sizes() -> Iterator[Case]:
    short = json.loads(_VALID) | {"max_tokens": 1}
    for name, size, statuses in (
        ("limit-minus-1", LIMIT - 1, (200,)),
        ("limit", LIMIT, (200,)),
        ("limit-plus-1", LIMIT + 1, (413,)),
        ("10-mb", 10_000_000, (413,)),
    ):
        for chunked in (False, True):
            yield Case(
                id=f"json-size-{name}-{'chunked' if chunked else 'stated'}",
                path=CHAT,
                body=lambda size=size: json.dumps(short).encode().ljust(size),
                content_type=JSON,
                chunked=chunked,
                statuses=statuses,
            )
