"""From a completion request as sent to the job that an engine is given."""

from __future__ import annotations

from msgspec import structs

from antiphon.api.sampling import sampled
from antiphon.api.validation import refuse_unserved
from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.values import CompletionJob, RawPrompt
from antiphon.wire import fields
from antiphon.wire.completions import CompletionRequest

MOST_CHOICES = 32
"""Choices of all prompts together."""
_MAX_TOKENS = 16
"""How long an answer may be if nothing is said, as ever since there is this endpoint."""


def completion_job(request: CompletionRequest, job_id: str) -> CompletionJob:
    """The job, with defaults in place of nulls. Raises `InvalidRequest`, naming the parameter."""
    refuse_unserved(request, fields.COMPLETION)
    n, prompts = request.n or 1, raw_prompts(request.prompt or "", "prompt")
    if request.best_of not in (None, n):
        raise UnsupportedParameter(
            "'best_of' is served only where it equals 'n': no answer is thrown away.", param="best_of"
        )
    if request.echo and request.logprobs is not None:
        raise UnsupportedParameter(
            "'logprobs' together with 'echo' is not served: the engines do not tell those of a prompt.",
            param="logprobs",
        )
    if len(prompts) * n > MOST_CHOICES:
        raise InvalidRequest(
            f"Invalid value for 'prompt': {len(prompts)} prompts with {n} choices each are more than the "
            f"{MOST_CHOICES} choices that one request may have.",
            param="prompt",
            code="invalid_value",
        )
    each = structs.replace(
        sampled(request, job_id),
        max_tokens=_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        logprobs=request.logprobs is not None,
        top_logprobs=request.logprobs or 0,
    )
    return CompletionJob(prompts=prompts, each=each, echo=bool(request.echo))


def raw_prompts(sent: str | list[str | int | list[int]], param: str) -> tuple[RawPrompt, ...]:
    """One text, or what a list has, texts or tokens. Raises `InvalidRequest`, naming `param`, for both."""
    if isinstance(sent, str):
        return (sent,)
    texts = tuple(one for one in sent if isinstance(one, str))
    lists = tuple(tuple(one) for one in sent if isinstance(one, list))
    tokens = tuple(one for one in sent if isinstance(one, int))
    if len(texts) == len(sent):
        return texts
    if len(lists) == len(sent):
        return lists
    if len(tokens) == len(sent):
        return (tokens,)
    raise InvalidRequest(
        f"Invalid type for '{param}': expected a string, or an array of strings, tokens or arrays of tokens.",
        param=param,
        code="invalid_type",
    )
