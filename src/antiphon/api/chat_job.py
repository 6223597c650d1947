"""From a chat request as sent to the job that an engine is given."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.api.validation import refuse_unserved
from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.values import ChatJob, Message
from antiphon.wire import fields
from antiphon.wire.chat import ChatRequest, RefusalPart, RequestMessage, TextPart


def chat_job(request: ChatRequest, job_id: str) -> ChatJob:
    """The job, with defaults in place of nulls. Raises `InvalidRequest`, naming the parameter."""
    refuse_unserved(request, fields.CHAT)
    _check_combinations(request)
    return ChatJob(
        id=job_id,
        model=request.model,
        messages=messages(request.messages),
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        n=request.n or 1,
        stop=_stop(request.stop),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        logit_bias={int(token): bias for token, bias in (request.logit_bias or {}).items()},
        seed=request.seed,
        logprobs=bool(request.logprobs),
        top_logprobs=request.top_logprobs or 0,
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
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "'stream_options' needs 'stream' to be true.",
            param="stream_options",
            code="invalid_parameter_combination",
        )


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    texts = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in texts if text)


def messages(sent: Sequence[RequestMessage]) -> tuple[Message, ...]:
    """The conversation as plain text. `developer` is today's name for `system`."""
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(sent))


def _message(message: RequestMessage, where: str) -> Message:
    refuse_unserved(message, fields.MESSAGE, f"{where}.")
    if message.role == "tool" or message.role == "function":
        raise UnsupportedParameter(
            f"Messages of role '{message.role}' are not supported by this server yet.", param=f"{where}.role"
        )
    role = "system" if message.role == "developer" else message.role
    content = _text(message, f"{where}.content") or message.refusal or ""
    return Message(role=role, content=content, name=message.name)


def _text(message: RequestMessage, where: str) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    texts: list[str] = []
    for index, part in enumerate(message.content):
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif isinstance(part, RefusalPart):
            texts.append(part.refusal)
        else:
            raise UnsupportedParameter(
                "Only text parts are supported by this server.", param=f"{where}[{index}].type"
            )
    return "".join(texts)
