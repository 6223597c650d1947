"""A conversation with functions, as one that any chat template can render: all is said in plain messages.

Templates that know functions themselves, in the form of `grammar.calls`, are given them as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from antiphon.grammar.calls import BEGIN, END
from antiphon.values import Call, Function, Message

_HOW = f"""You can call functions. These are all there are, one JSON object a line:
{{functions}}

To call one, answer with its name and its arguments as JSON between two marks:
{BEGIN}
{{{{"name": "the function's name", "arguments": {{{{"an argument's name": "its value"}}}}}}}}
{END}
Several calls may follow one another. What they return comes between <tool_response> and </tool_response>."""


def spoken(messages: Sequence[Message], functions: Sequence[Function]) -> list[Message]:
    """The same conversation without functions, calls and results: a system message tells of the functions."""
    said: list[Message] = []
    for results, group in groupby(messages, key=lambda message: message.role == "tool"):
        if results:
            content = "\n".join(f"<tool_response>\n{one.content}\n</tool_response>" for one in group)
            said.append(Message(role="user", content=content))
        else:
            said += map(_plain, group)
    if not functions:
        return said
    told = (json.dumps(described(function), ensure_ascii=False) for function in functions)
    how = _HOW.format(functions="\n".join(told))
    if said and said[0].role == "system":
        content = f"{said[0].content}\n\n{how}" if said[0].content else how
        return [msgspec.structs.replace(said[0], content=content), *said[1:]]
    return [Message(role="system", content=how), *said]


def described(function: Function) -> dict[str, Any]:
    """A function as models are told of it."""
    told = {"name": function.name, "description": function.description, "parameters": function.parameters}
    return {key: value for key, value in told.items() if value not in (None, "")}


def _plain(message: Message) -> Message:
    if not message.calls:
        return message
    lines = [message.content] if message.content else []
    lines += map(_written, message.calls)
    return msgspec.structs.replace(message, content="\n".join(lines), calls=())


def _written(call: Call) -> str:
    return f'{BEGIN}\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}\n{END}'
