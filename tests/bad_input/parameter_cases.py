"""Every field of every request, just outside of what its struct accepts: made from the structs themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from antiphon.wire import fields
from antiphon.wire.audio import TranscriptionRequest, TranslationRequest
from antiphon.wire.chat import ChatRequest, RequestMessage
from antiphon.wire.completions import CompletionRequest
from antiphon.wire.embeddings import EmbeddingRequest
from antiphon.wire.fields import Treatment
from antiphon.wire.moderations import ModerationRequest
from antiphon.wire.sampling import StreamOptions
from bad_input.cases import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MODERATIONS,
    MULTIPART,
    RENDER,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Case,
    form,
)
from sounds import encode, silence

_MESSAGE = {"role": "user", "content": "x"}
_REQUEST = {"model": "gpt-3.5-turbo", "messages": [_MESSAGE]}
_COMPLETION = {"model": "gpt-3.5-turbo", "prompt": "x"}
_EMBEDDING = {"model": "gpt-3.5-turbo", "input": "x"}
_TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f"}}

_SAMPLES = {
    "a-string": "other",
    "an-integer": 3,
    "a-fraction": 1.5,
    "a-boolean": True,
    "an-array": ["other"],
    "an-object": {"other": 1},
}
_KINDS: Mapping[type[inspect.Type], Sequence[str]] = {
    inspect.AnyType: tuple(_SAMPLES),
    inspect.StrType: ("a-string",),
    inspect.LiteralType: ("a-string",),
    inspect.IntType: ("an-integer",),
    inspect.FloatType: ("an-integer", "a-fraction"),
    inspect.BoolType: ("a-boolean",),
    inspect.ListType: ("an-array",),
    inspect.DictType: ("an-object",),
    inspect.StructType: ("an-object",),
    inspect.NoneType: (),
}

Wrong = tuple[str, Any]
"""A name for what is wrong, and the value."""


def cases() -> Iterator[Case]:
    yield from _in_json("chat", CHAT, ChatRequest, fields.CHAT)
    yield from _in_json("render", RENDER, ChatRequest, fields.CHAT)
    yield from _in_json("completion", COMPLETIONS, CompletionRequest, fields.COMPLETION, _COMPLETION)
    yield from _in_json("embedding", EMBEDDINGS, EmbeddingRequest, fields.EMBEDDING, _EMBEDDING)
    yield from _in_json("moderation", MODERATIONS, ModerationRequest, {}, {"input": "x"})
    yield from _in_message()
    yield from _in_stream_options()
    yield from _combinations()
    yield from _completion_combinations()
    yield from _embedding_combinations()
    yield from _in_form("transcription", TRANSCRIPTIONS, TranscriptionRequest)
    yield from _in_form("translation", TRANSLATIONS, TranslationRequest)


def _in_json(
    route: str,
    path: str,
    shape: type[msgspec.Struct],
    table: Mapping[str, fields.Field],
    valid: Mapping[str, Any] = _REQUEST,
) -> Iterator[Case]:
    for name, kind, required in _fields(shape):
        for label, value in [*_wrong(kind), *_unserved(kind, table.get(name))]:
            yield _json(f"{route}-{name}-{label}", path, {**valid, name: value}, name)
        if required:
            yield _json(f"{route}-{name}-null", path, {**valid, name: None}, name)
            missing = {key: value for key, value in valid.items() if key != name}
            yield _json(f"{route}-{name}-missing", path, missing, name)
    for name in (
        "temprature",
        "N",
        "model ",
        "__proto__",
        "n_discard",
        "chat_template",
        "api_base",
        "$",
        "é",
    ):
        yield _json(f"{route}-unknown-{name}", path, {**valid, name: 1}, name)


def _in_message() -> Iterator[Case]:
    for name, kind, required in _fields(RequestMessage):
        param = f"messages[0].{name}"
        for label, value in [*_wrong(kind), *_unserved(kind, fields.MESSAGE.get(name))]:
            request = {**_REQUEST, "messages": [{**_MESSAGE, name: value}]}
            yield _json(f"message-{name}-{label}", CHAT, request, param)
        if required:
            missing = {key: value for key, value in _MESSAGE.items() if key != name}
            yield _json(f"message-{name}-missing", CHAT, {**_REQUEST, "messages": [missing]}, param)
    yield _json(
        "message-unknown", CHAT, {**_REQUEST, "messages": [{**_MESSAGE, "weight": 1}]}, "messages[0].weight"
    )
    for label, content in {
        "part-unknown-type": {"type": "video"},
        "part-no-type": {"text": "x"},
        "part-no-text": {"type": "text"},
        "part-text-null": {"type": "text", "text": None},
        "part-unknown-field": {"type": "text", "text": "x", "style": "bold"},
        "part-image": {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}},
        "part-audio": {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        "part-file": {"type": "file", "file": {"file_id": "file-1"}},
        "part-string": "x",
        "part-null": None,
    }.items():
        request = {**_REQUEST, "messages": [{"role": "user", "content": [content]}]}
        yield _json(f"message-content-{label}", CHAT, request, "messages[0].content")
    request = {**_REQUEST, "messages": [{"role": "tool", "content": "x", "tool_call_id": "of-no-call"}]}
    yield _json("message-tool-of-no-call", CHAT, request, "messages[0].tool_call_id")


def _in_stream_options() -> Iterator[Case]:
    for name, kind, _ in _fields(StreamOptions):
        for label, value in _wrong(kind):
            request = {**_REQUEST, "stream": True, "stream_options": {name: value}}
            yield _json(f"stream_options-{name}-{label}", CHAT, request, f"stream_options.{name}")
    request = {**_REQUEST, "stream": True, "stream_options": {"other": True}}
    yield _json("stream_options-unknown", CHAT, request, "stream_options.other")


def _combinations() -> Iterator[Case]:
    for label, extra, param in (
        ("both-maxima", {"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ("top_logprobs-alone", {"top_logprobs": 1}, "top_logprobs"),
        ("top_logprobs-without", {"top_logprobs": 1, "logprobs": False}, "top_logprobs"),
        ("stream_options-alone", {"stream_options": {}}, "stream_options"),
        ("speech-model", {"model": "whisper-1"}, "model"),
        ("past-context", {"max_tokens": 2**31 - 1}, "messages"),
        ("negative-token", {"logit_bias": {"-1": 1}}, "logit_bias"),
        ("choice-of-nothing", {"tool_choice": "required"}, "tool_choice"),
        ("call-of-nothing", {"function_call": {"name": "f"}}, "function_call"),
        ("unknown-choice", {"tools": [_TOOL], "tool_choice": _named("g")}, "tool_choice"),
        ("unknown-call", {"functions": [_TOOL["function"]], "function_call": {"name": "g"}}, "function_call"),
        ("custom-choice", {"tools": [_TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ("tools-and-functions", {"tools": [_TOOL], "functions": [_TOOL["function"]]}, "functions"),
        ("two-of-a-name", {"tools": [_TOOL, _TOOL]}, "tools"),
        ("custom-tool", {"tools": [{"type": "custom"}]}, "tools[0].type"),
    ):
        yield _json(f"chat-together-{label}", CHAT, {**_REQUEST, **extra}, param)


def _completion_combinations() -> Iterator[Case]:
    for label, extra, param in (
        ("stream_options-alone", {"stream_options": {}}, "stream_options"),
        ("speech-model", {"model": "whisper-1"}, "model"),
        ("past-context", {"max_tokens": 2**31 - 1}, "prompt"),
        ("long-prompt", {"prompt": "word " * 20_000}, "prompt"),
        ("one-long-prompt-of-two", {"prompt": ["x", "word " * 20_000]}, "prompt"),
        ("many-tokens", {"prompt": [5] * 20_000}, "prompt"),
        ("too-many-prompts", {"prompt": ["x"] * 33}, "prompt"),
        ("too-many-choices", {"prompt": ["x"] * 5, "n": 8}, "prompt"),
        ("mixed-prompts", {"prompt": ["x", 5]}, "prompt"),
        ("prompts-and-tokens", {"prompt": ["x", [5]]}, "prompt"),
        ("tokens-and-lists", {"prompt": [5, [5]]}, "prompt"),
        ("no-such-token", {"prompt": [5, 49152]}, "prompt"),
        ("no-such-token-later", {"prompt": [[5], [2**31 - 1]]}, "prompt"),
        ("no-such-bias", {"logit_bias": {"49152": 1}}, "logit_bias"),
        ("best-of-two", {"best_of": 2}, "best_of"),
        ("best-of-one-of-two", {"best_of": 1, "n": 2}, "best_of"),
        ("echoed-logprobs", {"echo": True, "logprobs": 0}, "logprobs"),
        ("suffix", {"suffix": "x"}, "suffix"),
    ):
        yield _json(f"completion-together-{label}", COMPLETIONS, {**_COMPLETION, **extra}, param)


def _embedding_combinations() -> Iterator[Case]:
    for label, extra, param in (
        ("chat-model", {}, "model"),
        ("speech-model", {"model": "whisper-1"}, "model"),
        ("too-many-inputs", {"input": ["x"] * 2049}, "input"),
        ("too-many-lists", {"input": [[5]] * 2049}, "input"),
        ("empty-among-others", {"input": ["x", ""]}, "input"),
        ("empty-list-among-others", {"input": [[5], []]}, "input"),
        ("mixed-inputs", {"input": ["x", 5]}, "input"),
        ("tokens-and-lists", {"input": [5, [5]]}, "input"),
        ("a-fraction-for-a-token", {"input": [5, 1.5]}, "input"),
        ("a-token-beyond-all", {"input": [2**31]}, "input"),
    ):
        yield _json(f"embedding-together-{label}", EMBEDDINGS, {**_EMBEDDING, **extra}, param)


def _named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def _in_form(route: str, path: str, shape: type[msgspec.Struct]) -> Iterator[Case]:
    for name, kind, required in _fields(shape):
        for label, pairs in _wrong_texts(name, kind):
            yield _form(f"{route}-{name}-{label}", path, pairs, name)
        if required:
            yield _form(f"{route}-{name}-missing", path, [], name)
        else:
            yield _form(f"{route}-{name}-twice", path, [(name, "1"), (name, "1")], name)
    for name in ("temprature", "file[]", "model[]", "__proto__", "a.b", "a[0]", "é"):
        yield _form(f"{route}-unknown-{name}", path, [(name, "1")], name.removesuffix("[]"))
    yield _form(f"{route}-model-of-chat", path, [("model", "gpt-3.5-turbo")], "model")


def _wrong_texts(name: str, kind: inspect.Type) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What a form can say wrongly of a field: everything in a form is text."""
    for each in _choices(kind):
        if isinstance(each, inspect.ListType):
            too_many = each.max_length + 1 if each.max_length is not None else None
            if too_many is not None and too_many < 20:
                yield "too-many", [(f"{name}[]", "x")] * too_many
            yield "as-one", [(name, "word")]
            for label, value in _wrong(each.item_type):
                if isinstance(value, str):
                    yield f"item-{label}", [(f"{name}[]", value)]
            if (table := fields.SPEECH[name]).treatment is Treatment.DEFAULT:
                assert table.accepted == ([],)
                yield "unserved", [(f"{name}[]", "other")]
            continue
        if isinstance(each, inspect.NoneType):
            continue
        yield "as-list", [(f"{name}[]", "x")]
        if isinstance(each, inspect.FloatType | inspect.IntType | inspect.BoolType):
            for text in ("x", "", "nan", "inf", "1e999", "0x1", "1,5", "٣", "9" * 5000, "true false"):
                yield f"text-{text[:10] or 'empty'}", [(name, text)]
        for label, value in _bounds(each):
            yield label, [(name, str(value))]
    if name in fields.SPEECH and fields.SPEECH[name].treatment is Treatment.DEFAULT:
        yield "other", [(name, "other")]


def _fields(shape: type[msgspec.Struct]) -> Iterator[tuple[str, inspect.Type, bool]]:
    info = inspect.type_info(shape)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        yield field.encode_name, field.type, field.required


def _choices(kind: inspect.Type) -> Sequence[inspect.Type]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _wrong(kind: inspect.Type) -> Iterator[Wrong]:
    """One value of each JSON type that `kind` refuses, and those just outside of its bounds."""
    choices = _choices(kind)
    accepted = {name for each in choices for name in _KINDS[type(each)]}
    for name, value in _SAMPLES.items():
        if name not in accepted:
            yield name, value
    for each in choices:
        yield from _bounds(each)


def _bounds(kind: inspect.Type) -> Iterator[Wrong]:
    match kind:
        case inspect.IntType() | inspect.FloatType():
            if kind.ge is not None:
                yield "below-minimum", kind.ge - 1
            if kind.le is not None:
                yield "above-maximum", kind.le + 1
            yield "far-too-large", 10**30
        case inspect.StrType():
            if kind.min_length:
                yield "empty", ""
            if kind.max_length is not None:
                yield "too-long", "x" * (kind.max_length + 1)
            if kind.pattern is not None:
                yield "pattern", "n\n!"
        case inspect.LiteralType():
            yield "no-such-value", "no-such-value"
        case inspect.ListType():
            if kind.min_length:
                yield "empty", []
            if kind.max_length is not None:
                yield "too-many", [_valid(kind.item_type)] * (kind.max_length + 1)
            for label, value in _wrong(kind.item_type):
                yield f"item-{label}", [value]
        case inspect.DictType():
            if kind.max_length is not None:
                yield "too-many", {str(n): _valid(kind.value_type) for n in range(kind.max_length + 1)}
            for label, value in _wrong(kind.key_type):
                if isinstance(value, str):
                    yield f"key-{label}", {value: _valid(kind.value_type)}
            for label, value in _wrong(kind.value_type):
                yield f"value-{label}", {"1": value}


def _valid(kind: inspect.Type) -> Any:
    match kind:
        case inspect.StrType():
            return "x"
        case inspect.FloatType():
            return 1
        case inspect.UnionType():
            return {"type": "text", "text": "x"}
    return _MESSAGE


def _unserved(kind: inspect.Type, field: fields.Field | None) -> Iterator[Wrong]:
    """Values of the right type that ask for what is not served."""
    if field is None or field.treatment is not Treatment.DEFAULT:
        return
    accepted = {name for each in _choices(kind) for name in _KINDS[type(each)]}
    for name, value in _SAMPLES.items():
        if name in accepted and value not in field.accepted:
            yield f"unserved-{name}", value


def _json(name: str, path: str, request: Mapping[str, Any], param: str) -> Case:
    return Case(
        id=f"parameter-{name}",
        path=path,
        body=lambda: json.dumps(request).encode(),
        statuses=(400,),
        param=param,
    )


def _form(name: str, path: str, pairs: Sequence[tuple[str, str]], param: str) -> Case:
    sent = list(pairs) if name.endswith("model-missing") else _with_model(pairs)
    return Case(
        id=f"parameter-{name}",
        path=path,
        body=lambda: form(sent, encode(silence(0.2))),
        content_type=MULTIPART,
        statuses=(400,),
        param=param,
    )


def _with_model(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    given = any(name == "model" for name, _ in pairs)
    return [*pairs] if given else [("model", "whisper-1"), *pairs]
