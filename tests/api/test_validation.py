"""Errors name the parameter, in the API's words; and no field is ever silently ignored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from antiphon.api.chat_job import chat_job, messages
from antiphon.api.validation import convert
from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.wire import fields
from antiphon.wire.audio import TranscriptionRequest, TranslationRequest
from antiphon.wire.chat import ChatRequest, RequestMessage
from antiphon.wire.fields import Treatment

USER = [{"role": "user", "content": "Hi"}]


def refused(**given: Any) -> InvalidRequest:
    body = {"model": "m", "messages": USER, **given}
    with pytest.raises(InvalidRequest) as refusal:
        chat_job(convert(body, ChatRequest), "id")
    return refusal.value


@pytest.mark.requirement("R12")
@pytest.mark.requirement("R4")
@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": "warm"}, "temperature", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "Hi"}, "messages", "invalid_type"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "wizard"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "mood": 1}]}, "messages[0].mood", "unknown_parameter"),
        ({"messages": [{"role": "user", "name": "a b"}]}, "messages[0].name", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 9}, "n", "invalid_value"),
        ({"n": True}, "n", "invalid_type"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"logit_bias": {"5": 101}}, "logit_bias", "invalid_value"),
        ({"logit_bias": {"five": 1}}, "logit_bias", "invalid_value"),
        ({"top_k": 5}, "top_k", "unknown_parameter"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_parameter_combination"),
        ({"top_logprobs": 3}, "top_logprobs", "invalid_parameter_combination"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_parameter_combination"),
        ({"store": "yes"}, "store", "invalid_type"),
        ({"verbosity": "high"}, "verbosity", "unsupported_parameter"),
        ({"service_tier": "priority"}, "service_tier", "unsupported_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type", "unsupported_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "unsupported_parameter",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]},
            "messages[0].tool_calls[0].type",
            "unsupported_parameter",
        ),
    ],
)
def test_the_parameter_is_named(given: dict[str, Any], param: str, code: str) -> None:
    error = refused(**given)
    assert (error.status, error.param, error.code) == (400, param, code)
    assert param in error.message or code == "unsupported_parameter"


def test_a_body_that_is_no_object() -> None:
    with pytest.raises(InvalidRequest):
        convert([1], ChatRequest)


def test_every_optional_field_may_be_null() -> None:
    body: dict[str, Any] = dict.fromkeys(ChatRequest.__struct_fields__)
    job = chat_job(convert({**body, "model": "m", "messages": USER}, ChatRequest), "id")
    assert (job.temperature, job.top_p, job.n, job.max_tokens, job.stop) == (1.0, 1.0, 1, None, ())


def test_values_that_ask_for_nothing_are_accepted() -> None:
    harmless = {
        "user": "u-1",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
        "store": False,
        "service_tier": "auto",
        "reasoning_effort": "low",
        "response_format": {"type": "text"},
        "tools": [],
        "tool_choice": "none",
        "parallel_tool_calls": True,
        "modalities": ["text"],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    chat_job(convert({"model": "m", "messages": USER, **harmless}, ChatRequest), "id")


@pytest.mark.requirement("R19")
@pytest.mark.parametrize(
    ("shape", "table"),
    [
        (ChatRequest, fields.CHAT),
        (RequestMessage, fields.MESSAGE),
        (TranscriptionRequest, fields.SPEECH),
        (TranslationRequest, fields.SPEECH),
    ],
)
def test_the_tables_know_every_field(shape: Any, table: dict[str, Any]) -> None:
    names = set(shape.__struct_fields__)
    assert names <= set(table)
    if shape is not TranslationRequest:
        assert set(table) - names <= {"file"}


@pytest.mark.requirement("R10")
@pytest.mark.parametrize("name", [n for n, f in fields.CHAT.items() if f.treatment is Treatment.DEFAULT])
def test_what_is_not_served_is_refused_by_name(name: str) -> None:
    values: list[Any] = ["other", {"other": 1}, ["other"], True]
    for value in values:
        try:
            request = convert({"model": "m", "messages": USER, name: value}, ChatRequest)
        except InvalidRequest:
            continue
        if value in fields.CHAT[name].accepted:
            continue
        with pytest.raises(UnsupportedParameter) as refusal:
            chat_job(request, "id")
        assert refusal.value.param == name
        return
    pytest.fail("no value of a valid type was found")


def test_messages_become_plain_text() -> None:
    sent = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "refusal": "No.", "annotations": [], "tool_calls": None},
        {"role": "assistant"},
        {"role": "user", "content": "", "name": "kim"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "Never."}]},
    ]
    got = messages([msgspec.convert(message, RequestMessage) for message in sent])
    assert [(m.role, m.content, m.name) for m in got] == [
        ("system", "Be brief.", None),
        ("user", "ab", None),
        ("assistant", "No.", None),
        ("assistant", "", None),
        ("user", "", "kim"),
        ("assistant", "Never.", None),
    ]


def test_max_completion_tokens_and_stop() -> None:
    body = {"model": "m", "messages": USER, "max_completion_tokens": 7, "stop": "END"}
    job = chat_job(convert(body, ChatRequest), "id")
    assert job.max_tokens == 7 and job.stop == ("END",)
    body = {"model": "m", "messages": USER, "stop": ["", "END"], "logit_bias": {"5": -100}}
    job = chat_job(convert(body, ChatRequest), "id")
    assert job.stop == ("END",) and job.logit_bias == {5: -100.0}
