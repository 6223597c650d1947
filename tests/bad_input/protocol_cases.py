"""Requests that are not quite HTTP, lie about their length, or try to get past the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bad_input.cases import CHAT, JSON, MULTIPART, TRANSCRIPTIONS, form, head

_BODY = b'{"model":"gpt-3.5-turbo","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'
_LENGTH = str(len(_BODY))


@dataclass(frozen=True)
class Raw:
    """Bytes to be sent as they are, made from a valid key, and what they may be answered with."""

    id: str
    make: Callable[[str], bytes]
    statuses: Sequence[int]


def _post(
    name: str, statuses: Sequence[int], headers: Mapping[str, str], body: bytes = _BODY, path: str = CHAT
) -> Raw:
    def make(key: str) -> bytes:
        return head("POST", path, {"authorization": f"Bearer {key}", "content-type": JSON, **headers}) + body

    return Raw(f"protocol-{name}", make, statuses)


def _line(name: str, statuses: Sequence[int], line: str, *more: str) -> Raw:
    """A request line of its own, and the key."""

    def make(key: str) -> bytes:
        lines = [line, "host: localhost", f"authorization: Bearer {key}", *more, "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")

    return Raw(f"protocol-{name}", make, statuses)


def _sent(name: str, raw: bytes) -> Raw:
    return Raw(f"protocol-{name}", lambda key: raw, (400,))


def _chunks(raw: bytes) -> tuple[Mapping[str, str], bytes]:
    return {"transfer-encoding": "chunked"}, raw


def cases() -> Iterator[Raw]:
    yield from _lengths()
    yield from _heads()
    yield from _lines()
    yield from _noise()


def _lengths() -> Iterator[Raw]:
    yield _post("no-length", (400,), {})
    yield _post("length-0", (400,), {"content-length": "0"}, b"")
    yield _post("length-too-short", (400,), {"content-length": "10"})
    yield _post("length-too-long", (408,), {"content-length": str(len(_BODY) + 10)})
    yield _post("length-of-10-gb", (413,), {"content-length": "10000000000"}, b"")
    yield _post("length-negative", (400,), {"content-length": "-1"})
    yield _post("length-signed", (400,), {"content-length": f"+{_LENGTH}"})
    yield _post("length-word", (400,), {"content-length": "many"})
    yield _post("length-past-64-bits", (400,), {"content-length": "9" * 40})
    yield _post("length-twice", (400,), {"content-length": _LENGTH, "Content-Length": "1"})
    yield _post("length-list", (400,), {"content-length": f"{_LENGTH}, 1"})
    yield _post("length-and-chunks", (400,), {"content-length": _LENGTH, "transfer-encoding": "chunked"})
    yield _post("encoding-unknown", (400, 408), {"transfer-encoding": "gzip"})
    yield _post("encoding-obscured", (400,), {"transfer-encoding": "xchunked"})
    yield _post("encoding-chunked-not-last", (400,), {"transfer-encoding": "chunked, gzip"})
    for name, raw in {
        "size-word": b"many\r\n" + _BODY,
        "size-negative": b"-5\r\n" + _BODY,
        "size-past-64-bits": b"f" * 40 + b"\r\n" + _BODY,
        "size-missing": b"\r\n" + _BODY,
        "wrong-size": b"5\r\n" + _BODY + b"\r\n0\r\n\r\n",
        "no-line-break": b"%x" % len(_BODY) + _BODY,
        "of-nothing": b"0\r\n\r\n",
    }.items():
        yield _post(f"chunks-{name}", (400,), *_chunks(raw))
    yield _post("chunks-unended", (408,), *_chunks(b"%x\r\n%b\r\n" % (len(_BODY), _BODY)))
    upload = form()
    yield _post("form-without-length", (400,), {"content-type": MULTIPART}, upload, TRANSCRIPTIONS)
    lying = {"content-type": MULTIPART, "content-length": str(len(upload) + 100)}
    yield _post("form-length-too-long", (408,), lying, upload, TRANSCRIPTIONS)
    lying = {"content-type": MULTIPART, "content-length": str(len(upload) - 20)}
    yield _post("form-length-too-short", (400,), lying, upload, TRANSCRIPTIONS)
    lying = {"content-type": MULTIPART, "content-length": "10000000000"}
    yield _post("form-length-of-10-gb", (413,), lying, b"", TRANSCRIPTIONS)


def _heads() -> Iterator[Raw]:
    for name, headers in {
        "value-of-17-kib": {"x-long": "x" * 17_408},
        "name-of-17-kib": {"x" * 17_408: "x"},
        "value-of-1-mib": {"x-long": "x" * 1_048_576},
        "many-of-17-kib": {f"x-{number}": "x" * 100 for number in range(170)},
        "many-empty": {f"x-{number}": "" for number in range(10_000)},
        "key-of-17-kib": {"authorization": "Bearer " + "x" * 17_408},
        "host-of-17-kib": {"host": "x" * 17_408},
        "cookie-of-17-kib": {"cookie": "x=" + "y" * 17_408},
    }.items():
        yield _post(f"headers-{name}", (431,), {"content-length": _LENGTH, **headers})
    for name, line in {
        "space-before-colon": "x-odd : 1",
        "no-colon": "x-odd",
        "no-name": ": 1",
        "nul": "x-odd: a\0b",
        "line-feed": "x-odd: a\nb",
        "folded": "x-odd: a\r\n b",
        "control": "x-\x01odd: 1",
        "brackets": "x[odd]: 1",
    }.items():
        yield _line(f"header-{name}", (200, 400), "GET /v1/models HTTP/1.1", line)
    yield _line("url-of-17-kib", (431,), f"GET /v1/models/{'x' * 17_408} HTTP/1.1")
    yield _line("query-of-17-kib", (431,), f"GET /v1/models?{'x' * 17_408} HTTP/1.1")


def _lines() -> Iterator[Raw]:
    for name, line in {
        "unknown-method": "BREW /v1/models HTTP/1.1",
        "method-lower-case": "get /v1/models HTTP/1.1",
        "method-trace": "TRACE /v1/models HTTP/1.1",
        "method-options": "OPTIONS /v1/models HTTP/1.1",
        "method-options-all": "OPTIONS * HTTP/1.1",
        "method-connect": "CONNECT localhost:443 HTTP/1.1",
        "method-delete": "DELETE /v1/models/gpt-3.5-turbo HTTP/1.1",
        "method-get-of-post": "GET /v1/completions HTTP/1.1",
        "version-9": "GET /v1/models HTTP/9.9",
        "version-word": "GET /v1/models HTTP/one",
        "path-missing": "GET  HTTP/1.1",
        "path-without-slash": "GET v1/models HTTP/1.1",
        "path-with-space": "GET /v1/mod els HTTP/1.1",
        "path-not-ascii": "GET /v1/modèles HTTP/1.1",
        "path-not-utf8": "GET /v1/\udcff\udcfe HTTP/1.1",
        "path-escaped-not-utf8": "GET /v1/models/%ff%fe HTTP/1.1",
        "path-escaped-surrogate": "GET /v1/models/%ed%a0%80 HTTP/1.1",
        "path-half-escape": "GET /v1/models/%z HTTP/1.1",
        "path-nul": "GET /v1/models/%00 HTTP/1.1",
        "path-line-break": "GET /v1/models/a%0d%0aX-Injected:%201 HTTP/1.1",
        "path-upwards": "GET /v1/models/../../etc/passwd HTTP/1.1",
        "path-upwards-escaped": "GET /v1/models/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        "path-style-upwards": "GET /docs/../docs/api.css/../../../pyproject.toml HTTP/1.1",
        "path-script": "GET /v1/models/<script>alert(1)</script> HTTP/1.1",
        "path-long": f"GET /v1/models/{'x' * 8000} HTTP/1.1",
        "path-unknown": "GET /v1/nothing HTTP/1.1",
        "upgrade": "GET /v1/models/x HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket",
    }.items():
        yield _line(name, (400, 404, 405), line)
    yield _line("version-missing", (200, 400), "GET /v1/models")
    yield _line("protocol-other", (200, 400), "GET /v1/models RTSP/1.0")


def _noise() -> Iterator[Raw]:
    yield _sent("random-bytes", bytes(range(255, -1, -1)) * 4)
    yield _sent("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(505))
    yield _sent("http2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield _sent("only-nul", bytes(1000))
    yield _sent("ssh", b"SSH-2.0-OpenSSH_9.9\r\n")
    yield _sent("smtp", b"EHLO localhost\r\n\r\n")
    yield _sent("redis", b"*1\r\n$4\r\nPING\r\n")


Disguise = Callable[[str, str], bytes]
"""From a route's method and path to a request without a valid key."""


def _host(host: str) -> Disguise:
    return lambda method, path: head(method, path, {"content-length": "0"}, host)


def _target(write: Callable[[str], str]) -> Disguise:
    return lambda method, path: head(method, write(path), {"content-length": "0"})


def _headers(**headers: str) -> Disguise:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda method, path: head(method, path, {"content-length": "0", **sent})


DISGUISES: Mapping[str, Disguise] = {
    "plain": _target(str),
    "host-of-open-route": _host("localhost/healthz"),
    "host-with-query": _host("localhost/healthz?"),
    "host-with-fragment": _host("localhost/docs/api#"),
    "host-with-user": _host("healthz@localhost"),
    "host-empty": _host(""),
    "host-backslash": _host("localhost\\healthz"),
    "host-not-ascii": _host("löcalhost"),
    "absolute-address": _target(lambda path: f"http://localhost{path}"),
    "absolute-open-address": _target(lambda path: f"http://healthz{path}"),
    "below-open-route": _target(lambda path: f"/healthz/..{path}"),
    "below-open-route-escaped": _target(lambda path: f"/healthz%2f..{path}"),
    "double-slash": _target(lambda path: f"/{path}"),
    "dot": _target(lambda path: f"/.{path}"),
    "slash-after": _target(lambda path: f"{path}/"),
    "query-of-open-route": _target(lambda path: f"{path}?/healthz"),
    "fragment-of-open-route": _target(lambda path: f"{path}#/healthz"),
    "parameter-after": _target(lambda path: f"{path};/healthz"),
    "escaped": _target(lambda path: path.replace("v1", "%76%31")),
    "escaped-twice": _target(lambda path: path.replace("v1", "%2576%2531")),
    "upper-case": _target(str.upper),
    "ending-of-style": _target(lambda path: f"{path}/api.css"),
    "nul-after": _target(lambda path: f"{path}%00/healthz"),
    "key-in-address": _target(lambda path: f"{path}?api_key={{key}}&access_token={{key}}"),
    "key-in-other-header": _headers(api_key="{key}", x_api_key="{key}"),
    "key-in-cookie": _headers(cookie="authorization=Bearer {key}"),
    "key-as-password": _headers(authorization="Basic {key}"),
    "key-without-scheme": _headers(authorization="{key}"),
    "key-cut": _headers(authorization="Bearer sk-"),
    "key-null": _headers(authorization="Bearer null"),
    "key-empty": _headers(authorization="Bearer "),
    "original-address": _headers(x_original_url="/healthz", x_rewrite_url="/healthz"),
    "forwarded": _headers(
        x_forwarded_prefix="/healthz", x_forwarded_for="127.0.0.1", forwarded="for=127.0.0.1"
    ),
    "method-override": _headers(x_http_method_override="OPTIONS"),
}
"""Ways in that other servers have left open; `{key}` stands for a valid key in the wrong place."""
