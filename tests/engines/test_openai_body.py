"""A job as the API says it, of everything that a job may have."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.api.chat_form import asked
from antiphon.api.validation import convert
from antiphon.engines.openai_body import body, messages
from antiphon.errors import InvalidRequest
from antiphon.values import Call, Form, Message
from antiphon.wire.chat import ChatRequest
from chat_engines import job

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "description": "It tells.", "parameters": WEATHER, "strict": True},
    },
    {"type": "function", "function": {"name": "now"}},
]
EMPTY = {"type": "object", "properties": {}}


def said(**request: Any) -> dict[str, Any]:
    """What of a body is about the form, from a request as a client sends it."""
    sent = {"model": "m", "messages": [{"role": "user", "content": "x"}], **request}
    found = asked(convert(sent, ChatRequest))
    told = body(job(functions=found.functions, form=found.form), "m", 0)
    return {
        name: told[name]
        for name in told
        if name in ("tools", "tool_choice", "parallel_tool_calls", "response_format")
    }


def names(told: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in told["tools"]]


def test_functions() -> None:
    told = said(tools=TOOLS)
    assert told["tool_choice"] == "auto" and told.keys() == {"tools", "tool_choice"}
    assert told["tools"][0] == TOOLS[0]
    assert told["tools"][1]["function"] == {"name": "now", "parameters": EMPTY}


def test_choices() -> None:
    named = {"type": "function", "function": {"name": "now"}}
    assert said(tools=TOOLS, tool_choice="none") == {}
    assert said(tools=TOOLS, tool_choice="required")["tool_choice"] == "required"
    told = said(tools=TOOLS, tool_choice=named)
    assert told["tool_choice"] == named and names(told) == ["now"]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    told = said(tools=TOOLS, tool_choice=allowed)
    assert told["tool_choice"] == "auto" and names(told) == ["now"], "servers know no choice among some"
    assert said(tools=TOOLS, parallel_tool_calls=False)["parallel_tool_calls"] is False


def test_functions_of_2023() -> None:
    told = said(functions=[TOOLS[1]["function"]], function_call={"name": "now"})
    assert names(told) == ["now"] and told["parallel_tool_calls"] is False
    assert told["tool_choice"] == {"type": "function", "function": {"name": "now"}}


def test_values() -> None:
    assert said(response_format={"type": "json_object"}) == {"response_format": {"type": "json_object"}}
    assert said(response_format={"type": "text"}) == {}
    schema = {"type": "json_schema", "json_schema": {"name": "theirs", "schema": WEATHER}}
    told = said(response_format=schema, tools=TOOLS)
    assert told["response_format"]["json_schema"] == {"name": "answer", "schema": WEATHER, "strict": False}
    assert told["tool_choice"] == "auto"
    assert "response_format" not in said(response_format=schema, tools=TOOLS, tool_choice="required")


def test_how_tokens_are_chosen() -> None:
    told = body(
        job(
            top_p=0.5, stop=("a", "b"), max_tokens=None, presence_penalty=1.0, frequency_penalty=-1.0,
            logit_bias={5: -100.0}, seed=7, logprobs=True, top_logprobs=3,
        ),
        "theirs",
        2,
    )  # fmt: skip
    assert told.items() >= {
        "model": "theirs", "top_p": 0.5, "stop": ["a", "b"],
        "presence_penalty": 1.0, "frequency_penalty": -1.0, "logit_bias": {"5": -100.0},
        "seed": 9, "logprobs": True, "top_logprobs": 3,
    }.items()  # fmt: skip
    assert "max_tokens" not in told and "n" not in told
    assert "top_logprobs" not in body(job(logprobs=True), "m", 0)


def test_conversations() -> None:
    call = Call(id="call_1", name="now", arguments="{}")
    conversation = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hi", name="Ada"),
        Message(role="assistant", content="", calls=(call,)),
        Message(role="tool", content="Noon", call_id="call_1", name="now"),
    ]
    called = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    assert messages(conversation) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", "name": "Ada"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "Noon", "tool_call_id": "call_1"},
    ]


def test_a_grammar_that_was_made_of_nothing_else_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        body(job(form=Form('root ::= "x"')), "m", 0)
