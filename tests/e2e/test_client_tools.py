"""Every client calls functions and asks for JSON, streamed and not; form is asserted, never wisdom.

What is the server's alone is asked by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import jsonschema
import openai
import pytest
from benchmarks.processes import Server, chat_engine, engine_process
from drivers import ONE, Client, ClientFailure
from pydantic import BaseModel
from test_client_chat import check_frame, check_usage, texts

CITY = {
    "type": "object",
    "properties": {
        "city": {"enum": ["Paris", "Oslo"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
ZONE = {
    "type": "object",
    "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}},
    "required": ["zone"],
    "additionalProperties": False,
}
PARAMETERS = {"forecast": CITY, "clock": ZONE}
FUNCTIONS = [
    {"name": "forecast", "description": "The weather of the next days.", "parameters": CITY},
    {"name": "clock", "description": "The time in a zone.", "parameters": ZONE},
]
TOOLS = [{"type": "function", "function": {**function, "strict": True}} for function in FUNCTIONS]
CLOCK = {"type": "function", "function": {"name": "clock"}}
BODY: dict[str, Any] = {
    "model": "gpt-3.5-turbo",
    "messages": [{"role": "user", "content": "What is the weather in Paris for the next 3 days?"}],
    "temperature": 0,
    "max_tokens": 48,
}
ASKING = {**BODY, "tools": TOOLS, "parallel_tool_calls": False}
AS_CITY = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}


def called(choice: dict[str, Any]) -> list[str]:
    """The names of the functions that were called, once the calls are what they should be."""
    message = choice["message"]
    assert choice["finish_reason"] == "tool_calls"
    assert message["content"] is None and message["role"] == "assistant"
    calls = message["tool_calls"]
    assert calls and len({call["id"] for call in calls}) == len(calls)
    for call in calls:
        assert call["type"] == "function" and call["id"]
        jsonschema.validate(json.loads(call["function"]["arguments"]), PARAMETERS[call["function"]["name"]])
    return [call["function"]["name"] for call in calls]


def functions(choice: dict[str, Any]) -> list[dict[str, str]]:
    return [call["function"] for call in choice["message"]["tool_calls"]]


def one_called(client: Client, choice: Any) -> str:
    """The name of the only function that was called."""
    answer = client.call("chat", body={**ASKING, "tool_choice": choice})
    check_frame(answer, "chat.completion")
    check_usage(answer["usage"], 48)
    [name] = called(answer["choices"][0])
    return name


def test_some_function_must_be_called(client: Client) -> None:
    assert one_called(client, "required") in PARAMETERS


@ONE
@pytest.mark.parametrize(
    "choice",
    [CLOCK, {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK]}}],
    ids=["named", "allowed"],
)
def test_a_function_that_must_be_called_is(client: Client, choice: Any) -> None:
    assert one_called(client, choice) == "clock"


def test_streamed_calls_are_the_whole_calls_in_pieces(client: Client) -> None:
    body = {**ASKING, "tool_choice": "required"}
    chunks = client.call("stream", body={**body, "stream_options": {"include_usage": True}})
    [choice] = client.call("chat", body=body)["choices"]
    for chunk in chunks:
        check_frame(chunk, "chat.completion.chunk")
    first, begun, *pieces, last, usage = chunks
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    [call] = begun["choices"][0]["delta"]["tool_calls"]
    assert call["index"] == 0 and call["id"] and call["type"] == "function"
    assert call["function"] == {"name": functions(choice)[0]["name"], "arguments": ""}
    assert len(pieces) > 1, "arguments come as they are written"
    written = ""
    for piece in pieces:
        [call] = piece["choices"][0]["delta"]["tool_calls"]
        assert call["index"] == 0 and call.keys() == {"index", "function"}
        written += call["function"]["arguments"]
    assert written == functions(choice)[0]["arguments"]
    assert last["choices"][0]["delta"] == {} and last["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] > 0
    assert texts(chunks) == ""


@ONE
def test_several_calls_at_once(client: Client) -> None:
    body = {**ASKING, "tool_choice": "required", "parallel_tool_calls": True, "max_tokens": 80}
    [choice] = client.call("chat", body=body)["choices"]
    calls = choice["message"]["tool_calls"]
    if choice["finish_reason"] == "length":  # the last of them is cut off
        calls.pop()
    assert calls and len({call["id"] for call in calls}) == len(calls)
    for call in calls:
        jsonschema.validate(json.loads(call["function"]["arguments"]), PARAMETERS[call["function"]["name"]])
    indices = [
        call["index"]
        for chunk in client.call("stream", body=body)
        for call in chunk["choices"][0]["delta"].get("tool_calls", [])
        if "id" in call
    ]
    assert indices == list(
        range(len(choice["message"]["tool_calls"]) + (choice["finish_reason"] == "length"))
    )


@ONE
@pytest.mark.parametrize(
    "choice", ["auto", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}]
)
def test_a_function_that_may_be_called_may_be(client: Client, choice: Any) -> None:
    [answer] = client.call("chat", body={**ASKING, "tool_choice": choice})["choices"]
    if answer["finish_reason"] == "tool_calls":
        assert called(answer)
    else:
        assert answer["message"]["content"] and not answer["message"].get("tool_calls")


@ONE
def test_functions_that_must_not_be_called_are_not(client: Client) -> None:
    [answer] = client.call("chat", body={**ASKING, "tool_choice": "none"})["choices"]
    assert answer["message"]["content"].strip() and "tool_calls" not in answer["message"]
    assert answer["finish_reason"] in ("stop", "length")


@ONE
def test_results_are_sent_back(client: Client) -> None:
    [choice] = client.call("chat", body={**ASKING, "tool_choice": "required"})["choices"]
    [call] = choice["message"]["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": '{"sky": "clear"}'}
    messages = [*BODY["messages"], choice["message"], result]
    [answer] = client.call(
        "chat", body={**ASKING, "messages": messages, "response_format": AS_CITY, "tool_choice": "none"}
    )["choices"]
    jsonschema.validate(json.loads(answer["message"]["content"]), CITY)
    assert answer["finish_reason"] == "stop"
    result["tool_call_id"] = "call_of_nobody"
    with pytest.raises(ClientFailure) as failure:
        client.call("chat", body={**ASKING, "messages": messages})
    assert (failure.value.said["status"], failure.value.said["param"]) == (400, "messages[2].tool_call_id")


def test_functions_of_2023(client: Client) -> None:
    body = {**BODY, "functions": FUNCTIONS, "function_call": {"name": "forecast"}}
    [choice] = client.call("chat", body=body)["choices"]
    message = choice["message"]
    assert choice["finish_reason"] == "function_call" and message["content"] is None
    assert message["function_call"]["name"] == "forecast" and "tool_calls" not in message
    jsonschema.validate(json.loads(message["function_call"]["arguments"]), CITY)

    chunks = client.call("stream", body=body)
    pieces = [piece for chunk in chunks if (piece := chunk["choices"][0]["delta"].get("function_call"))]
    assert pieces[0]["name"] == "forecast"
    assert "".join(piece["arguments"] for piece in pieces) == message["function_call"]["arguments"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"

    result = {"role": "function", "name": "forecast", "content": '{"sky": "clear"}'}
    sent = {key: value for key, value in message.items() if key in ("role", "content", "function_call")}
    messages = [*BODY["messages"], sent, result]
    [after] = client.call("chat", body={**body, "messages": messages, "function_call": "none"})["choices"]
    assert after["message"]["content"].strip()


@ONE
@pytest.mark.parametrize("form", [{"type": "json_object"}, AS_CITY], ids=["json_object", "json_schema"])
def test_json(client: Client, form: dict[str, Any]) -> None:
    body = {**BODY, "response_format": form}
    [choice] = client.call("chat", body=body)["choices"]
    text = choice["message"]["content"]
    if form is AS_CITY:
        assert choice["finish_reason"] == "stop"
        jsonschema.validate(json.loads(text), CITY)
    assert text.startswith("{")
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(text), dict)
    assert texts(client.call("stream", body=body)) == text


@pytest.mark.parametrize("what", ["tools", "response_format"])
def test_schemas_that_cannot_be_served_are_refused_and_harm_nobody(
    client: Client, server: Server, what: str
) -> None:
    deep: dict[str, Any] = {"type": "object", "properties": {}}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}}
    engine = engine_process(server, chat_engine(server))
    for schema in (
        deep,
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "object", "required": 5},
    ):
        if what == "tools":
            more: dict[str, Any] = {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]
            }
        else:
            more = {
                "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
            }
        for action in ("chat", "stream"):
            with pytest.raises(ClientFailure) as failure:
                client.call(action, body={**BODY, **more})
            assert failure.value.said["status"] == 400
            assert failure.value.said["param"] == (
                "tools[0].function.parameters" if what == "tools" else "response_format"
            )
    assert client.call("chat", body={**BODY, "max_tokens": 1})["choices"]
    assert engine.is_running()


@pytest.mark.parametrize("client", ["openai-3", "openai-node-7"], indirect=True)
def test_clients_put_streams_together(client: Client) -> None:
    """Those of today, which do so themselves."""
    body = {**ASKING, "tool_choice": "required"}
    [whole] = client.call("chat", body=body)["choices"]
    [put] = client.call("gather", body=body)["choices"]
    assert put["finish_reason"] == "tool_calls"
    [call], [theirs] = whole["message"]["tool_calls"], put["message"]["tool_calls"]
    assert theirs["id"] and theirs["type"] == "function"
    assert theirs["function"]["name"] == call["function"]["name"]
    assert theirs["function"]["arguments"] == call["function"]["arguments"]

    body = {**BODY, "response_format": AS_CITY}
    [put] = client.call("gather", body=body)["choices"]
    assert put["finish_reason"] == "stop"
    jsonschema.validate(json.loads(put["message"]["content"]), CITY)


class Forecast(BaseModel):
    """The weather of a place."""

    city: Literal["Paris", "Oslo"]
    clear: bool


@pytest.fixture(scope="module")
def official(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key=server.key, max_retries=0) as client:
        yield client


def test_models_of_pydantic_are_answered(official: openai.OpenAI) -> None:
    answer = official.chat.completions.parse(**BODY, response_format=Forecast)
    assert isinstance(answer.choices[0].message.parsed, Forecast)

    with official.chat.completions.stream(**BODY, response_format=Forecast) as events:
        done = [event for event in events if event.type == "content.done"]
    assert isinstance(done[0].parsed, Forecast)
    assert done[0].parsed == answer.choices[0].message.parsed


def test_models_of_pydantic_are_functions(official: openai.OpenAI) -> None:
    tools = [openai.pydantic_function_tool(Forecast)]
    body: dict[str, Any] = {**BODY, "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}
    [call] = official.chat.completions.parse(**body).choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Forecast)

    with official.chat.completions.stream(**body) as events:
        done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert len(done) == 1 and done[0].name == "Forecast" and done[0].index == 0
    assert done[0].parsed_arguments == call.function.parsed_arguments
