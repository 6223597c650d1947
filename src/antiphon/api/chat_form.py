"""What a chat request asks of its answer's form: functions that may be called, JSON, a schema."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.grammar.calls import BEGIN, Value, grammar
from antiphon.grammar.problems import InvalidSchema
from antiphon.values import Form, Function, Wish
from antiphon.wire.chat import (
    AllowedToolsChoice,
    ChatRequest,
    FunctionDefinition,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedFunction,
    NamedTool,
)


class Asked(msgspec.Struct, frozen=True):
    """The functions that the model is told of, and the form of its answer; None if it is free."""

    functions: tuple[Function, ...] = ()
    form: Form | None = None


class _Choice(msgspec.Struct, frozen=True):
    """Whether functions may or must be called, and which."""

    must: bool
    functions: Sequence[Function]


def asked(request: ChatRequest) -> Asked:
    """Raises `InvalidRequest`, naming the parameter."""
    functions = _functions(request)
    choice = _choice(request, functions)
    value = _value(request)
    several = request.parallel_tool_calls is not False and not request.functions
    try:
        if not choice.functions and value is None:
            return Asked()
        value = None if choice.must else value
        wish = _wish(choice, value, several=several)
        wanted = grammar(choice.functions, several=several, value=value).gbnf()
        # Where a call or a value has to be, whatever is written first is of that form: no mark is waited for.
        free = not choice.must and value is None
        return Asked(
            functions if choice.functions else (), Form(wanted, trigger=BEGIN if free else "", wish=wish)
        )
    except InvalidSchema as problem:
        raise _invalid(request, functions, problem) from None


def _functions(request: ChatRequest) -> tuple[Function, ...]:
    if request.tools and request.functions:
        raise InvalidRequest(
            "'tools' and 'functions' exclude each other.",
            param="functions",
            code="invalid_parameter_combination",
        )
    defined = [_defined(tool, f"tools[{index}]") for index, tool in enumerate(request.tools or ())]
    defined += request.functions or ()
    names = [one.name for one in defined]
    if len(set(names)) < len(names):
        raise InvalidRequest(
            "Two functions have the same name.",
            param="tools" if request.tools else "functions",
            code="invalid_value",
        )
    return tuple(
        Function(
            name=one.name,
            description=one.description or "",
            parameters=one.parameters,
            strict=bool(one.strict),
        )
        for one in defined
    )


def _defined(tool: object, where: str) -> FunctionDefinition:
    if isinstance(tool, FunctionTool):
        return tool.function
    raise UnsupportedParameter("Only tools of type 'function' are served here.", param=f"{where}.type")


def _choice(request: ChatRequest, functions: Sequence[Function]) -> _Choice:
    """What `tool_choice`, or `function_call` of old, asks for."""
    param = "function_call" if request.functions or request.function_call is not None else "tool_choice"
    chosen = request.function_call if param == "function_call" else request.tool_choice
    if chosen is not None and chosen not in ("none", "auto") and not functions:
        raise InvalidRequest(
            f"'{param}' needs functions to choose from.", param=param, code="invalid_parameter_combination"
        )
    match chosen:
        case "none":
            return _Choice(False, ())
        case None | "auto":
            return _Choice(False, functions)
        case "required":
            return _Choice(True, functions)
        case NamedFunction(name):
            return _Choice(True, _named([name], functions, param))
        case NamedTool(function):
            return _Choice(True, _named([function.name], functions, param))
        case AllowedToolsChoice(allowed):
            names = [one.function.name for one in allowed.tools if isinstance(one, NamedTool)]
            if len(names) < len(allowed.tools):
                raise _no_custom(param)
            return _Choice(allowed.mode == "required", _named(names, functions, param))
        case _:
            raise _no_custom(param)


def _no_custom(param: str) -> UnsupportedParameter:
    return UnsupportedParameter("Only tools of type 'function' are served here.", param=param)


def _named(names: Sequence[str], functions: Sequence[Function], param: str) -> list[Function]:
    found = {function.name: function for function in functions}
    for name in names:
        if name not in found:
            raise InvalidRequest(f"There is no function '{name}'.", param=param, code="invalid_value")
    return [found[name] for name in names]


def _value(request: ChatRequest) -> Value | None:
    """The JSON that `response_format` asks for."""
    match request.response_format:
        case JsonObjectFormat():
            return Value({"type": "object"})
        case JsonSchemaFormat(wanted):
            schema = {"type": "object"} if wanted.schema is None else wanted.schema
            return Value(schema, strict=bool(wanted.strict))
        case _:
            return None


def _wish(choice: _Choice, value: Value | None, *, several: bool) -> Wish:
    return Wish(
        functions=tuple(function.name for function in choice.functions),
        must=choice.must,
        several=several,
        schema=None if value is None else value.schema,
        strict=value is not None and value.strict,
    )


def _invalid(request: ChatRequest, functions: Sequence[Function], problem: InvalidSchema) -> InvalidRequest:
    wanted = request.response_format
    if problem.function is None and isinstance(wanted, JsonSchemaFormat):
        return InvalidRequest(
            f"Invalid schema for response_format '{wanted.json_schema.name}': {problem}.",
            param="response_format",
            code="invalid_json_schema",
        )
    if problem.function is None:
        param = "tools" if request.tools else "functions"
        return InvalidRequest(
            f"Invalid schemas of '{param}', all together: {problem}.",
            param=param,
            code="invalid_function_parameters",
        )
    index = next(n for n, function in enumerate(functions) if function.name == problem.function)
    of_tool = f"tools[{index}].function" if request.tools else f"functions[{index}]"
    return InvalidRequest(
        f"Invalid schema for function '{problem.function}': {problem}.",
        param=f"{of_tool}.parameters",
        code="invalid_function_parameters",
    )
