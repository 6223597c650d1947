"""From a chat request as sent to the job that an engine is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import structs

from antiphon.api.chat_form import asked
from antiphon.api.sampling import sampled
from antiphon.api.validation import refuse_unserved
from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.values import Call, ChatJob, Message
from antiphon.wire import fields
from antiphon.wire.chat import AudioPart, ChatRequest, RefusalPart, RequestMessage, TextPart, ToolCall

_ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


_DEAF: Mapping[str, str] = {}


def chat_job(request: ChatRequest, job_id: str, heard: Mapping[str, str] = _DEAF) -> ChatJob:
    """The job, with defaults in place of nulls. Raises `InvalidRequest`, naming the parameter.

    `heard` has what is said in each recording of the messages, by its place: see `chat_audio`.
    """
    refuse_unserved(request, fields.CHAT)
    _check_combinations(request)
    wanted = asked(request)
    return structs.replace(
        sampled(request, job_id),
        messages=messages(request.messages, heard),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        logprobs=bool(request.logprobs),
        top_logprobs=request.top_logprobs or 0,
        functions=wanted.functions,
        form=wanted.form,
    )


def _check_combinations(request: ChatRequest) -> None:
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    if request.top_logprobs and not request.logprobs:
        raise InvalidRequest(
            "'top_logprobs' needs 'logprobs' to be true.",
            param="top_logprobs",
            code="invalid_parameter_combination",
        )


def messages(sent: Sequence[RequestMessage], heard: Mapping[str, str] = _DEAF) -> tuple[Message, ...]:
    """The conversation as plain text. `developer` is today's name for `system`."""
    made: set[str] = set()
    found = []
    for index, message in enumerate(sent):
        found.append(_message(message, f"messages[{index}]", made, heard))
        made |= {call.id for call in found[-1].calls}
    return tuple(found)


def _message(message: RequestMessage, where: str, made: Collection[str], heard: Mapping[str, str]) -> Message:
    """One message; `made` are the ids of the calls before it, each of which a result may be of."""
    refuse_unserved(message, fields.MESSAGE, f"{where}.")
    if message.role == "tool" and message.tool_call_id not in made:
        raise InvalidRequest(
            f"'{where}.tool_call_id' must be the id of a call in an assistant's message before.",
            param=f"{where}.tool_call_id",
            code="invalid_value",
        )
    content = _text(message, f"{where}.content", heard) or message.refusal or ""
    called = message.tool_call_id if message.role == "tool" else message.name
    return Message(
        role=_ROLES[message.role],
        content=content,
        name=message.name,
        calls=_calls(message, where),
        call_id=(called or "") if message.role in ("tool", "function") else "",
    )


def _calls(message: RequestMessage, where: str) -> tuple[Call, ...]:
    if message.role != "assistant":
        return ()
    if message.function_call is not None:
        called = message.function_call
        return (Call(id=called.name, name=called.name, arguments=called.arguments),)
    calls = []
    for index, call in enumerate(message.tool_calls or ()):
        if not isinstance(call, ToolCall):
            raise UnsupportedParameter(
                "Only tools of type 'function' are served here.", param=f"{where}.tool_calls[{index}].type"
            )
        calls.append(Call(id=call.id, name=call.function.name, arguments=call.function.arguments))
    return tuple(calls)


def _text(message: RequestMessage, where: str, heard: Mapping[str, str]) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    texts: list[str] = []
    for index, part in enumerate(message.content):
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, RefusalPart):
            texts.append(part.refusal)
        elif isinstance(part, AudioPart) and f"{where}[{index}]" in heard:
            texts.append(heard[f"{where}[{index}]"])
        else:
            raise UnsupportedParameter(
                "Parts of this type are not supported by this model here.", param=f"{where}[{index}].type"
            )
    return "".join(texts)
