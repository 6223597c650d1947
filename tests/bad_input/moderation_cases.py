"""Requests for moderation that are wrong: in the JSON, its types, its sizes, and what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from antiphon.api.moderations import MOST_CHARACTERS, MOST_INPUTS
from bad_input.cases import JSON, MODERATIONS, Case
from bad_input.json_cases import BROKEN

_TEXT = {"type": "text", "text": "x"}
_IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}
_LONGEST = 131_072
"""Characters of one text."""
_BODY = 2 * 1024 * 1024


def cases() -> Iterator[Case]:
    for name in ("empty", "null", "string", "array", "empty-object", "trailing-garbage", "nan"):
        yield _raw(name, BROKEN[name])
    yield _raw("key-twice", b'{"input":"x","input":"y"}')
    yield _raw("lone-surrogate", b'{"input":"\\ud800"}')
    yield _raw("nul", b'{"input":"x\\u0000"}')
    yield _raw("not-utf-8", b'{"input":"\xff"}')
    yield _raw("deep", b'{"input":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield _raw("deep-part", b'{"input":[' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"]}")
    yield _raw("number-of-5000-digits", b'{"input":' + b"9" * 5_000 + b"}")
    yield _raw("too-large", b'{"input":"' + b"x" * _BODY + b'"}', 413)
    yield _raw("no-json", b"input=x", 415, "application/x-www-form-urlencoded")
    for label, value in {
        "nothing": [],
        "too-many": ["x"] * (MOST_INPUTS + 1),
        "too-many-parts": [_TEXT] * (MOST_INPUTS + 1),
        "too-long": "x" * (_LONGEST + 1),
        "too-long-together": ["x" * _LONGEST] * (MOST_CHARACTERS // _LONGEST) + ["x"],
    }.items():
        yield _case(f"input-{label}", {"input": value}, "input")
    for label, value in {
        "a-number": ["x", 1],
        "nothing": ["x", None],
        "a-list": ["x", ["y"]],
        "too-long": ["x", "x" * (_LONGEST + 1)],
        "an-image": [_TEXT, _IMAGE],
        "no-text": [_TEXT, {"type": "text"}],
        "text-null": [_TEXT, {"type": "text", "text": None}],
        "a-number-for-text": [_TEXT, {"type": "text", "text": 1}],
        "no-type": [_TEXT, {"text": "x"}],
        "another-type": [_TEXT, {"type": "input_audio", "input_audio": {"data": ""}}],
        "another-field": [_TEXT, _TEXT | {"weight": 1}],
    }.items():
        yield _case(f"input-with-{label}", {"input": value}, "input[1]")
    yield _case("input-text-first", {"input": ["x", _TEXT]}, "input")
    yield _case("input-part-first", {"input": [_TEXT, "x"]}, "input")
    for label, model in (("unknown", "omni-moderation-1999"), ("of-chat", "gpt-3.5-turbo")):
        yield _case(f"model-{label}", {"input": "x", "model": model}, None, 404)


def _raw(name: str, body: bytes, status: int = 400, kind: str = JSON) -> Case:
    return Case(
        id=f"moderation-{name}", path=MODERATIONS, body=lambda: body, content_type=kind, statuses=(status,)
    )


def _case(name: str, request: dict[str, Any], param: str | None, status: int = 400) -> Case:
    return Case(
        id=f"moderation-{name}",
        path=MODERATIONS,
        body=lambda: json.dumps(request).encode(),
        statuses=(status,),
        param=param,
    )
