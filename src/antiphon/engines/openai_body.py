"""A job as the API says it: what a server of OpenAI's API is told of one choice, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from antiphon.errors import InvalidRequest
from antiphon.values import ChatJob, Form, Function, Message, Wish

_SEEDS = 2**63
_OBJECT = {"type": "object"}


def body(job: ChatJob, model: str, index: int) -> dict[str, Any]:
    """The body of `/chat/completions` for the choice `index`, streamed.

    Raises `InvalidRequest` for a grammar that was not made of what the API knows.
    """
    said: dict[str, Any] = {
        "model": model,
        "messages": messages(job.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        # What the API takes them for if nobody says anything, which servers see otherwise.
        "temperature": job.temperature,
        "top_p": job.top_p,
    }
    given = {
        "max_tokens": job.max_tokens,
        "stop": list(job.stop) or None,
        "presence_penalty": job.presence_penalty or None,
        "frequency_penalty": job.frequency_penalty or None,
        "logit_bias": {str(token): bias for token, bias in job.logit_bias.items()} or None,
        # Each choice is a request of its own: with one seed all would be the same.
        "seed": None if job.seed is None else (job.seed + index) % _SEEDS,
        "logprobs": job.logprobs or None,
        "top_logprobs": job.top_logprobs if job.logprobs and job.top_logprobs else None,
    }
    said |= {name: value for name, value in given.items() if value is not None}
    return said | (_form(job.form, job.functions) if job.form is not None else {})


def messages(conversation: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation as the API has it."""
    return [_message(message) for message in conversation]


def tools(functions: Sequence[Function]) -> list[dict[str, Any]]:
    """Functions as the API has them."""
    return [{"type": "function", "function": _function(function)} for function in functions]


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.role == "tool":
        return said | {"tool_call_id": message.call_id}
    if message.name:
        said["name"] = message.name
    if message.calls:
        said["content"] = message.content or None
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    return said


def _function(function: Function) -> dict[str, Any]:
    empty = {**_OBJECT, "properties": {}}
    said: dict[str, Any] = {"name": function.name, "parameters": function.parameters or empty}
    if function.description:
        said["description"] = function.description
    return said | ({"strict": True} if function.strict else {})


def _form(form: Form, functions: Sequence[Function]) -> dict[str, Any]:
    wish = form.wish
    if wish is None:
        raise InvalidRequest(
            "The engine takes no grammars.", param="response_format", code="unsupported_value"
        )
    return _calls(wish, functions) | _value(wish)


def _calls(wish: Wish, functions: Sequence[Function]) -> dict[str, Any]:
    """Functions that may be called. Those that may not are not told: servers know no choice among some."""
    if not wish.functions:
        return {}
    said: dict[str, Any] = {"tools": tools([one for one in functions if one.name in wish.functions])}
    if wish.must and len(wish.functions) == 1:
        said["tool_choice"] = {"type": "function", "function": {"name": wish.functions[0]}}
    else:
        said["tool_choice"] = "required" if wish.must else "auto"
    return said | ({} if wish.several else {"parallel_tool_calls": False})


def _value(wish: Wish) -> dict[str, Any]:
    if wish.schema is None:
        return {}
    if wish.schema == _OBJECT and not wish.strict:
        return {"response_format": {"type": "json_object"}}
    schema = {"name": "answer", "schema": wish.schema, "strict": wish.strict}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
