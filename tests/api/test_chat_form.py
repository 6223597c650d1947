"""What a request asks of its answer's form, and the errors that name what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.api.chat_form import Asked, asked
from antiphon.api.validation import convert
from antiphon.errors import InvalidRequest
from antiphon.grammar.calls import BEGIN
from antiphon.values import Function, Wish
from antiphon.wire.chat import ChatRequest

F = {
    "name": "f",
    "description": "Does.",
    "parameters": {"type": "object", "properties": {"a": {"type": "null"}}},
}
G = {"name": "g"}
TOOLS = [{"type": "function", "function": F}, {"type": "function", "function": G}]
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
AS_JSON = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}


def of(**given: Any) -> Asked:
    return asked(
        convert({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **given}, ChatRequest)
    )


def grammar(**given: Any) -> tuple[str, str]:
    form = of(**given).form
    assert form is not None
    return form.grammar, form.trigger


def names(**given: Any) -> tuple[str, ...]:
    return tuple(function.name for function in of(**given).functions)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tools": []},
        {"tool_choice": "auto"},
        {"tool_choice": "none"},
        {"response_format": {"type": "text"}},
    ],
)
def test_an_answer_is_free_if_nothing_is_asked(given: dict[str, Any]) -> None:
    assert of(**given) == Asked()


def test_functions_may_be_called_from_where_the_model_begins_to() -> None:
    assert of(tools=TOOLS).functions == (
        Function(name="f", description="Does.", parameters=F["parameters"]),
        Function(name="g"),
    )
    text, trigger = grammar(tools=TOOLS)
    assert trigger == BEGIN and '\\"f\\"' in text and '\\"g\\"' in text


def test_functions_that_must_be_called_are_the_whole_answer() -> None:
    text, trigger = grammar(tools=TOOLS, tool_choice="required")
    assert trigger == "" and '\\"f\\"' in text and '\\"g\\"' in text
    named = {"type": "function", "function": {"name": "g"}}
    for choice in (named, {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}}):
        text, trigger = grammar(tools=TOOLS, tool_choice=choice)
        assert trigger == "" and '\\"f\\"' not in text and '\\"g\\"' in text
        assert names(tools=TOOLS, tool_choice=choice) == ("f", "g"), "the model knows of all"
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    text, trigger = grammar(tools=TOOLS, tool_choice=allowed)
    assert trigger == BEGIN and '\\"f\\"' not in text


def test_functions_that_must_not_be_called_are_not_told() -> None:
    assert of(tools=TOOLS, tool_choice="none") == Asked()


def test_one_call_or_several() -> None:
    assert "{0,15}" in grammar(tools=TOOLS)[0]
    assert "{0,15}" not in grammar(tools=TOOLS, parallel_tool_calls=False)[0]
    assert "{0,15}" not in grammar(functions=[F])[0], "there is room for one in the answer of 2023"


def test_functions_of_2023() -> None:
    assert names(functions=[F, G]) == ("f", "g")
    assert grammar(functions=[F, G], function_call={"name": "g"})[1] == ""
    assert '\\"f\\"' not in grammar(functions=[F, G], function_call={"name": "g"})[0]
    assert of(functions=[F], function_call="none") == Asked()


def test_json() -> None:
    text, trigger = grammar(response_format={"type": "json_object"})
    assert (
        trigger == "" and "json-array" in text and of(response_format={"type": "json_object"}).functions == ()
    )
    text, trigger = grammar(response_format=AS_JSON)
    assert trigger == "" and '\\"x\\"' in text
    assert "json-object" in grammar(response_format={"type": "json_schema", "json_schema": {"name": "s"}})[0]


def test_json_or_calls() -> None:
    text, trigger = grammar(tools=TOOLS, response_format=AS_JSON)
    assert trigger == "" and '\\"x\\"' in text and '\\"f\\"' in text
    text, _ = grammar(tools=TOOLS, response_format=AS_JSON, tool_choice="required")
    assert '\\"x\\"' not in text
    text, _ = grammar(tools=TOOLS, response_format=AS_JSON, tool_choice="none")
    assert '\\"f\\"' not in text


def bad(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "bad", "parameters": more}}


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        (
            {"tools": [*TOOLS, bad(type="string")]},
            "tools[2].function.parameters",
            "invalid_function_parameters",
        ),
        (
            {"tools": [bad(type="object", required=3)]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
        ),
        (
            {"functions": [F, {"name": "bad", "parameters": {"anyOf": []}}]},
            "functions[1].parameters",
            "invalid_function_parameters",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": {"$ref": "#/x"}},
                }
            },
            "response_format",
            "invalid_json_schema",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": SCHEMA, "strict": True},
                }
            },
            "response_format",
            "invalid_json_schema",
        ),
        ({"tools": TOOLS + TOOLS}, "tools", "invalid_value"),
        ({"tools": TOOLS, "functions": [F]}, "functions", "invalid_parameter_combination"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_parameter_combination"),
        ({"function_call": {"name": "f"}}, "function_call", "invalid_parameter_combination"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "h"}}},
            "tool_choice",
            "invalid_value",
        ),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "unsupported_parameter"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom"}}, "tool_choice", "unsupported_parameter"),
        (
            {
                "tools": TOOLS,
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "custom"}]},
                },
            },
            "tool_choice",
            "unsupported_parameter",
        ),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        of(**given)
    assert (refusal.value.status, refusal.value.param, refusal.value.code) == (400, param, code)


def test_functions_that_are_too_large_together_are_named_together() -> None:
    long = {"type": "array", "items": {"type": "boolean"}, "minItems": 1900}
    parameters = {"type": "object", "properties": {f"p{n}": long for n in range(100)}}
    several = [{"name": f"f{n}", "parameters": parameters} for n in range(5)]
    of(functions=several[:1])
    tools = [{"type": "function", "function": function} for function in several]
    for given, param in (({"functions": several}, "functions"), ({"tools": tools}, "tools")):
        with pytest.raises(InvalidRequest, match="all together") as refusal:
            of(**given)
        assert refusal.value.param == param


def test_the_form_is_also_said_as_the_api_has_it() -> None:
    def wish(**given: Any) -> Wish:
        form = of(**given).form
        assert form is not None and form.wish is not None
        return form.wish

    assert wish(tools=TOOLS) == Wish(functions=("f", "g"))
    assert wish(tools=TOOLS, tool_choice="required", parallel_tool_calls=False) == Wish(
        functions=("f", "g"), must=True, several=False
    )
    named = {"type": "function", "function": {"name": "g"}}
    assert wish(tools=TOOLS, tool_choice=named, response_format=AS_JSON) == Wish(functions=("g",), must=True)
    assert wish(response_format=AS_JSON) == Wish(schema=SCHEMA)
    assert wish(tools=TOOLS, response_format=AS_JSON) == Wish(functions=("f", "g"), schema=SCHEMA)
    assert wish(functions=[G]) == Wish(functions=("g",), several=False)
